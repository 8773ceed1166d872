"""Comparing two evaluations: pairs by example, gains and losses, chance, and the outcome."""

import json
import pickle

import pytest

from dspex_core import ConfigurationError, Evaluate, Example, Prediction
from dspex_core.evaluation.compare import Comparison, Pair, compare, compare_scores


def evaluated(scores, *, ids=True):
    """An evaluation in which each example, by its id, gets the score given for it."""
    rows = [Example(name=name, score=score).with_inputs("name") for name, score in scores.items()]
    devset = [row.with_id(row.name) for row in rows] if ids else rows
    return Evaluate(devset=devset, metric=lambda example, _, trace=None: example.score)(
        lambda name: Prediction(answer=name)
    )


def scores(count, value):
    return {f"c{n}": value for n in range(count)}


def test_pairs_by_id_whatever_the_order():
    found = compare(evaluated({"a": 1.0, "b": 0.0, "c": 0.5}), evaluated({"c": 1.0, "b": 0.0, "a": 0.25}))
    assert found.pairs == (Pair("a", 1.0, 0.25), Pair("b", 0.0, 0.0), Pair("c", 0.5, 1.0))
    assert (found.lost, found.gained) == (("a",), ("c",))
    assert (found.before, found.after) == (0.5, pytest.approx(1.25 / 3))
    assert found.difference == pytest.approx(-0.25 / 3)


def test_an_example_that_one_side_has_alone_does_not_count():
    found = compare(evaluated({"a": 1.0, "b": 1.0}), evaluated({"b": 1.0, "new": 0.0}))
    assert [pair.example for pair in found.pairs] == ["b"]
    assert found.unpaired == ("a", "new")
    assert found.difference == 0


def test_examples_without_ids_pair_by_their_places():
    found = compare(evaluated({"a": 1.0, "b": 0.0}, ids=False), evaluated({"a": 1.0, "b": 1.0}, ids=False))
    assert found.gained == ("example 2",)


def test_places_do_not_pair_sets_of_different_sizes():
    with pytest.raises(ConfigurationError, match="have no id of their own"):
        compare(evaluated(scores(2, 1.0), ids=False), evaluated(scores(3, 1.0), ids=False))


@pytest.mark.parametrize(("before", "after"), [({}, {}), ({"a": 1.0}, {"b": 1.0})])
def test_nothing_in_common_is_an_error(before, after):
    with pytest.raises(ConfigurationError, match="nothing to compare"):
        compare_scores(before, after, metric="m")


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (scores(20, 0.0), {**scores(20, 0.0), "c0": 1.0}, "improved"),
        (scores(20, 1.0), scores(20, 1.0), "not better"),
        (scores(20, 1.0), {**scores(20, 1.0), "c0": 0.0, "c1": 0.0}, "not better"),  # it may be chance
        (scores(20, 1.0), scores(20, 0.985), "not better"),  # it is certain, but within the tolerance
        (scores(20, 1.0), scores(20, 0.0), "regressed"),
    ],
)
def test_the_outcome(before, after, outcome):
    assert compare_scores(before, after, metric="m").outcome == outcome


def test_a_comparison_says_itself_in_a_line_with_the_names_of_its_sides():
    found = compare_scores(scores(2, 0.0), {**scores(2, 0.0), "c1": 1.0}, metric="exact_match")
    assert str(found) == "improved: before 0.000, after 0.500 (exact_match, n=2, 1 gained, 0 lost, p=1.000)"
    assert found.describe("old", "new").startswith("improved: old 0.000, new 0.500")


def test_a_comparison_is_a_value_that_leaves_the_process():
    found = compare(evaluated({"a": 1.0, "b": 0.0}), evaluated({"a": 0.5, "b": 1.0, "c": 1.0}))
    assert pickle.loads(pickle.dumps(found)) == found
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    pairs = tuple(Pair(name, *values) for name, values in data["scores"].items())
    assert Comparison(data["metric"], pairs, tuple(data["unpaired"]), data["p_value"]) == found
    assert (data["outcome"], data["lost"], data["gained"]) == ("improved", ["a"], ["b"])
