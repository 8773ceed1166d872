"""Changes of inputs that should not change an answer."""

import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from dspex_core import ConfigurationError, Example, ScriptedLM, context
from pytest_dspex.strategies import casing, field_order, irrelevant, paraphrase, white_space

ROW = {"text": "Where is my order?", "topic": "shop", "k": 3}


def results(changes, row):
    """Return what each change makes of a row, by the change's name."""
    found = {}

    @given(changes)
    @settings(max_examples=200, database=None, suppress_health_check=list(HealthCheck))
    def draw(change):
        found[change.name] = change(row)

    draw()
    return found


def test_casing_changes_letters_alone():
    found = results(casing("text"), ROW)

    assert {name: row["text"] for name, row in found.items()} == {
        "upper case": "WHERE IS MY ORDER?",
        "lower case": "where is my order?",
        "title case": "Where Is My Order?",
        "swapped case": "wHERE IS MY ORDER?",
    }
    assert all(row["topic"] == "shop" and row["k"] == 3 for row in found.values())


def test_without_names_all_texts_change():
    assert results(casing(), ROW)["upper case"] == {"text": "WHERE IS MY ORDER?", "topic": "SHOP", "k": 3}


def test_white_space_keeps_the_words():
    for row in results(white_space("text"), ROW).values():
        assert row["text"] != ROW["text"]
        assert row["text"].split() == ROW["text"].split()


def test_an_irrelevant_sentence_stands_before_or_behind():
    texts = {row["text"] for row in results(irrelevant("It {rains}.", fields=("text",)), ROW).values()}

    assert texts == {"It {rains}. Where is my order?", "Where is my order? It {rains}."}


def test_the_order_of_fields_is_reversed_at_each_depth():
    (row,) = results(field_order(), {"a": 1, "b": {"c": 1, "d": 2}}).values()

    assert list(row) == ["b", "a"]
    assert list(row["b"]) == ["d", "c"]


def test_a_paraphrase_is_written_by_the_lm():
    lm = ScriptedLM(lambda request: {"paraphrase": "My order, where is it?"})

    with context(lm=lm):
        found = results(paraphrase("text"), ROW)

    assert {row["text"] for row in found.values()} == {"My order, where is it?"}
    assert "Where is my order?" in lm.history[0]["messages"][-1]["content"]


def test_the_row_of_a_dataset_gives_its_inputs():
    row = Example(text="Hello", intent="none").with_inputs("text")

    assert results(casing(), row)["upper case"] == {"text": "HELLO"}


def test_a_change_that_changes_nothing_tests_nothing():
    with pytest.raises(Unsatisfiable):
        results(casing(), {"text": "1234"})


def test_the_order_of_one_field_is_no_change():
    with pytest.raises(Unsatisfiable):
        results(field_order(), {"text": "Hello"})


@pytest.mark.parametrize("name", ["k", "question"])
def test_a_named_input_must_be_a_text(name):
    change = find(casing(name), lambda _: True)

    with pytest.raises(ConfigurationError, match=rf"the input '{name}' is .*, not a text; text inputs: text, topic"):
        change(ROW)


def test_changes_read_well_in_a_failure():
    assert repr(find(casing("text"), lambda _: True)) == "Change(name='upper case', fields=('text',))"
    assert isinstance(casing() | white_space(), st.SearchStrategy)
