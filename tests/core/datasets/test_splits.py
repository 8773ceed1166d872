"""Seeded samples, and splits in the proportions of a field."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core import Example
from dspex_core.datasets import sample, split
from dspex_core.errors import ConfigurationError

ROWS = [Example(n=n, label="rare" if n % 10 == 0 else "common") for n in range(100)]


def numbers(examples):
    return [example.n for example in examples]


@pytest.mark.parametrize("size", [30, 0.3])
def test_a_sample_depends_on_the_seed_and_keeps_the_order(size):
    found = sample(ROWS, size)

    assert numbers(found) == sorted(numbers(found))
    assert len(found) == 30
    assert found == sample(iter(ROWS), size, seed=0)
    assert found != sample(ROWS, size, seed=1)
    assert set(numbers(sample(reversed(ROWS), size))) == set(numbers(found))


def test_a_row_more_changes_a_sample_by_one_at_most():
    more = [Example(n=1000, label="new"), *ROWS]

    assert len({*numbers(sample(more, 30))} - {*numbers(sample(ROWS, 30))}) <= 1


@pytest.mark.parametrize("size", [0, -1, 1.5, 0.0, 1.0, True, "3", None, 101])
def test_a_size_that_there_is_not_is_refused(size):
    with pytest.raises(ConfigurationError, match="size="):
        sample(ROWS, size)


def test_a_split_does_not_depend_on_the_order():
    parts = split(ROWS, (0.5, 0.3))

    assert [set(numbers(part)) for part in parts] == [set(numbers(part)) for part in split(ROWS[::-1], (0.5, 0.3))]


@pytest.mark.parametrize("by", ["label", lambda example: example.n % 10 == 0])
def test_a_stratified_split_keeps_the_proportions(by):
    parts = split(ROWS, (0.5, 0.3, 0.2), by=by)

    assert [len(part) for part in parts] == [50, 30, 20]
    assert [sum(example.label == "rare" for example in part) for part in parts] == [5, 3, 2]
    assert len({example.n for part in parts for example in part}) == 100


@given(
    st.lists(st.sampled_from("aaaabbc"), min_size=6, max_size=60),
    st.sampled_from([(0.5, 0.5), (0.7, 0.2, 0.1), (0.4, 0.4), (3, 2)]),
    st.integers(0, 3),
)
def test_any_stratified_split_has_the_sizes_and_shares_of_each_stratum(labels, sizes, seed):
    rows = [Example(n=n, label=label) for n, label in enumerate(labels)]
    parts = split(rows, sizes, seed=seed, by="label")

    assert [len(part) for part in parts] == [len(part) for part in split(rows, sizes, seed=seed)]
    assert len({example.n for part in parts for example in part}) == sum(map(len, parts))
    for label, count in Counter(labels).items():
        for part in parts:
            share = count * len(part) / len(rows)
            assert abs(sum(example.label == label for example in part) - share) < 2


def test_values_of_other_types_are_other_strata_and_a_row_without_the_field_is_refused():
    rows = [Example(n=n, label=[1, "1", None, True][n % 4]) for n in range(40)]

    assert all(
        Counter(map(repr, (row.label for row in part))).total() == 20 for part in split(rows, (20, 20), by="label")
    )
    with pytest.raises(ConfigurationError, match="has no field 'label' to split by"):
        split([*rows, Example(n=1, id="x")], (20, 20), by="label")


def test_equal_rows_are_each_in_one_part():
    rows = [Example(n=1) for _ in range(10)]

    assert [len(part) for part in split(rows, (6, 4))] == [6, 4]
