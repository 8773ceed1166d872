"""Hypothesis strategies for properties of programs: inputs from signatures, and changes of inputs. PYTEST_DONT_REWRITE

    @reproducible(max_examples=20)
    @given(row=sampled_from(ROWS), change=casing("text") | white_space("text"))
    def test_the_intent_does_not_depend_on_the_spelling(intent, row, change):
        assert intent(**change(row)).intent == intent(**row).intent

Hypothesis is imported with this package only.
"""

from pytest_dspex.strategies.changes import Change, casing, field_order, irrelevant, paraphrase, white_space
from pytest_dspex.strategies.reproducible import reproducible
from pytest_dspex.strategies.signatures import inputs

__all__ = [
    "Change",
    "casing",
    "field_order",
    "inputs",
    "irrelevant",
    "paraphrase",
    "reproducible",
    "white_space",
]
