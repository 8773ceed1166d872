"""Details travel with a score: through pickles, stored cases and errors that name the metric."""

import asyncio
import csv
import json
import math
import pickle

import cloudpickle
import numpy as np
import pytest

from dspex_core import Evaluate, Example, Prediction, Score
from dspex_core.evaluation.case import CaseResult
from dspex_core.metrics.score import as_score

ROW = Example(q="x", a="x").with_inputs("q")


def echo(q):
    return Prediction(a=q)


def result_of(metric):
    return Evaluate(devset=[ROW], metric=metric, num_threads=1)(echo)


def test_details_are_json_data_of_the_scores_own():
    given = {"recall": np.float64(0.5), "hits": np.array([1, 2]), "labels": ("a", None), "deep": {"ok": True}}
    score = Score(0.5, "half", given)
    given["recall"] = 1
    assert score.details == {"recall": 0.5, "hits": [1, 2], "labels": ["a", None], "deep": {"ok": True}}
    assert type(score.details["recall"]) is float
    assert hash(score) == hash(Score(0.5, "half"))
    assert score != Score(0.5, "half")


@pytest.mark.parametrize(
    ("details", "named"),
    [
        ({"gap": math.nan}, "'gap'"),
        ({"gap": {"deep": [math.inf]}}, r"'gap.deep\[0\]'"),
        ({"gap": object()}, "'gap'"),
        ({1: 2}, "mapping of names"),
        ("recall 0.5", "mapping of names"),
    ],
)
def test_details_that_json_does_not_hold_are_refused_by_name(details, named):
    with pytest.raises(ValueError, match=named):
        Score(1.0, "", details)


def test_details_survive_pickles_and_stored_cases():
    def metric(example, prediction, trace=None):
        return Score(0.5, "half", {"recall": 0.5, "missing": ["b"]})

    result = result_of(metric)
    [case] = result.cases
    assert case.score.details == {"recall": 0.5, "missing": ["b"]}
    assert pickle.loads(pickle.dumps(case.score)) == case.score
    assert cloudpickle.loads(cloudpickle.dumps(result)).cases[0].score == case.score
    assert CaseResult.from_json(case.to_json()).score == case.score


def test_a_stored_case_without_details_can_be_read():
    data = result_of(lambda example, prediction: 1.0).cases[0].to_json()
    assert "details" not in data["score"]
    assert CaseResult.from_json(data).score == Score(1.0)


def test_a_prediction_as_score_may_have_details():
    assert as_score(Prediction(score=1, details={"kappa": 0.5})).details == {"kappa": 0.5}


async def none_async(example, prediction, trace=None):
    return None


def not_awaited(example, prediction, trace=None):
    return none_async(example, prediction)


class Judge:
    def __init__(self, returned):
        self.returned = returned

    def __call__(self, example, prediction, trace=None):
        return self.returned


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize(
    ("metric", "name", "kind"),
    [
        (none_async, "none_async", "NoneType"),
        (Judge(None), "Judge", "NoneType"),
        (Judge("right"), "Judge", "str"),
        (Judge([1.0]), "Judge", "list"),
        (Judge({"score": 1}), "Judge", "dict"),
        (Judge(math.nan), "Judge", "float"),
        (Judge(-math.inf), "Judge", "float"),
        (Judge(1j), "Judge", "complex"),
        (Judge(Prediction(answer="x")), "Judge", "Prediction"),
        (not_awaited, "not_awaited", "coroutine"),
    ],
)
def test_a_result_that_is_not_a_score_is_the_metrics_error_and_names_it(metric, name, kind, is_async):
    run = Evaluate(devset=[ROW], metric=metric, num_threads=1)
    result = asyncio.run(run.acall(echo)) if is_async else run(echo)
    [case] = result.errors
    assert case.error.phase == "metric"
    assert f"the metric {name!r} must return a finite number" in str(case.error)
    assert f"({kind})" in str(case.error)


def test_tables_of_an_evaluation_have_the_details(tmp_path):
    result = result_of(lambda example, prediction: Score(0.5, "half", {"recall": 0.5, "odd": "\ud800"}))
    result.save(tmp_path / "cases.csv")
    [row] = csv.DictReader((tmp_path / "cases.csv").read_text(encoding="utf-8").splitlines())
    assert json.loads(row["details"])["recall"] == 0.5
