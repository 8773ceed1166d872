"""Prompts and files show a set in the same order in every process."""

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core import Example
from dspex_core.adapters.shown_fields import to_text
from dspex_core.plain.sets import in_order, with_ordered_sets
from dspex_core.types.observation import as_observation

PROGRAM = Path(__file__).with_name("print_sets.py")


def test_prompts_are_the_same_in_every_process():
    runs = {
        subprocess.run(
            [sys.executable, str(PROGRAM)], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "5", "24", "30")
    }

    assert len(runs) == 1
    assert '["alpha", "bravo", "charlie"' in runs.pop().replace("\\", "")


class Model(pydantic.BaseModel):
    tags: set[str]
    inner: "Model | None" = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    tags: frozenset[int]


@given(st.sets(st.text(max_size=3), max_size=6))
def test_equal_sets_are_shown_alike_however_they_were_made(words):
    forwards, backwards = set(), set()
    for word in sorted(words):
        forwards.add(word)
    for word in sorted(words, reverse=True):
        backwards.add(word)

    assert to_text(Model(tags=forwards, inner=Model(tags=backwards))) == to_text(
        Model(tags=backwards, inner=Model(tags=forwards))
    )


@given(
    st.sets(st.integers() | st.floats() | st.text(max_size=2) | st.none() | st.frozensets(st.integers()), max_size=6)
)
def test_items_of_any_kinds_are_put_in_order(items):
    assert list(map(repr, in_order(items))) == list(map(repr, in_order(list(items)[::-1])))


def test_a_value_without_sets_stays_the_same_object():
    for value in ("text", [1, {"a": (2, 3)}], {"a": [1]}, Example(a=1), Model):
        assert with_ordered_sets(value) is value


def test_the_values_given_are_not_changed():
    model, slotted = Model(tags={"b", "a"}), Slotted(frozenset({2, 1}))

    ordered = with_ordered_sets([model, slotted])

    assert ordered == [model, slotted]
    assert type(model.tags) is set
    assert type(slotted.tags) is frozenset
    assert ordered[1] is not slotted


def test_a_value_that_contains_itself_is_an_error_of_its_own():
    endless = [{1}]
    endless.append(endless)

    with pytest.raises(ValueError, match="holds itself"):
        to_text(endless)


class TestIterators:
    def test_they_become_lists(self):
        assert with_ordered_sets({"found": (n for n in range(3)), "of": [iter([1])]}) == {
            "found": [0, 1, 2],
            "of": [[1]],
        }

    @pytest.mark.parametrize("place", [lambda endless: endless, lambda endless: {"found": [endless]}])
    def test_one_that_does_not_end_is_an_error(self, place):
        with pytest.raises(ValueError, match=r"count.*more than 100,000 items"):
            with_ordered_sets(place(itertools.count()))

    def test_a_model_reads_that_a_tool_returned_one(self):
        assert "more than 100,000 items" in as_observation(itertools.count())
