import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.plain.text import normalized


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        (" two\t\n words ", "two words"),
        ("no\u00a0break", "no break"),
        ("caf\u00e9", "cafe\u0301"),
        # The order of combining marks says nothing, also where folding turns one of them into a letter.
        ("\u03b1\u0345\u0301", "\u03b1\u0301\u0345"),
    ],
)
def test_texts_that_look_alike_are_equal(one, other):
    assert normalized(one) == normalized(other)


@pytest.mark.parametrize(("one", "other"), [("a b", "ab"), ("e", "é"), ("yes", "yes."), ("1", "\u0661")])
def test_texts_that_say_something_else_differ(one, other):
    assert normalized(one) != normalized(other)


@given(st.text(), st.sampled_from(["NFC", "NFD"]))
def test_composition_makes_no_difference(text, form):
    assert normalized(unicodedata.normalize(form, text)) == normalized(text)
