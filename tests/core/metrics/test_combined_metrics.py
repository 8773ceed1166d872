"""Metrics of metrics: sync, async, judges; and what a run took."""

import asyncio

import cloudpickle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import Evaluate, Example, Predict, Prediction, Score, ScriptedLM, SemanticF1, context
from dspex_core.errors import ConfigurationError
from dspex_core.metrics import all_of, at_least, cost, exact_match, f1, latency, tokens, weighted

ROW = Example(question="q", response="the sea otter").with_inputs("question")
PREDICTION = Prediction(response="sea otters")
EXACT, F1 = exact_match("response"), f1("response")


async def polite(example, prediction, trace=None):
    await asyncio.sleep(0)
    return Score(0.5, "say please")


def returning(value):
    def given(example, prediction):
        return value

    return given


def test_all_of_is_the_lowest_and_keeps_what_each_said():
    score = all_of(EXACT, F1)(ROW, PREDICTION)
    assert score.value == 0
    assert score.details == {"exact_match": 0.0, "f1": 0.5}
    assert score.feedback.count("response should be") == 2


def test_names_say_what_a_metric_is_made_of():
    made = all_of(at_least(F1, 0.8), weighted((EXACT, 3), (polite, 0.5)))
    assert made.__name__ == "all_of(at_least(f1,0.8),weighted(3*exact_match,0.5*polite))"
    assert repr(at_least(F1, 0.8)) == "at_least(f1('response'), 0.8)"
    assert all_of(EXACT, F1, name="good").__name__ == "good"
    assert at_least(F1, 0.8, name="fine").__name__ == "fine"


def test_two_metrics_of_one_name_have_a_detail_each():
    row = Example(a="x", b="y")
    assert all_of(exact_match("a"), exact_match("b"))(row, Prediction(a="x", b="z")).details == {
        "exact_match('a')": 1.0,
        "exact_match('b')": 0.0,
    }
    same = all_of(returning(1), returning(1), exact_match("a"), exact_match("a"))
    assert len(same(row, Prediction(a="x")).details) == 4


@pytest.mark.parametrize("made", [lambda: weighted((EXACT, 3), (F1, 1)), lambda: weighted({EXACT: 3, F1: 1})])
def test_weighted_is_the_mean_by_weights(made):
    assert made()(ROW, PREDICTION).value == pytest.approx(0.5 / 4)


@settings(max_examples=40)
@given(value=st.floats(0, 1), weights=st.lists(st.floats(0.001, 1000), min_size=1, max_size=5))
def test_a_weighted_mean_of_equal_scores_is_that_score(value, weights):
    assert weighted(*((returning(value), weight) for weight in weights))(ROW, PREDICTION).value == value


@settings(max_examples=40)
@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_combined_scores_lie_between_those_of_their_parts(values):
    metrics = [returning(value) for value in values]
    assert all_of(*metrics)(ROW, PREDICTION).value == min(values)
    mean = weighted(*((metric, 1) for metric in metrics))(ROW, PREDICTION).value
    assert min(values) - 1e-12 <= mean <= max(values) + 1e-12


@pytest.mark.parametrize(("threshold", "value"), [(0.5, 1), (0.51, 0)])
def test_at_least_is_right_from_the_threshold_on(threshold, value):
    score = at_least(F1, threshold)(ROW, PREDICTION)
    assert (score.value, score.details) == (value, {"f1": 0.5})


@pytest.mark.parametrize("is_async", [False, True])
def test_sync_and_async_metrics_and_judges_go_together(is_async):
    judge = SemanticF1()
    metric = all_of(F1, polite, at_least(judge, 0.6))
    replies = [{"reasoning": "r", "recall": 1.0, "precision": 0.5}]
    run = Evaluate(devset=[ROW], metric=metric, num_threads=1)
    with context(lm=ScriptedLM(replies)):
        result = asyncio.run(run.acall(lambda question: PREDICTION)) if is_async else run(lambda question: PREDICTION)
    [case] = result.cases
    assert case.error is None
    assert case.score.value == 0.5
    assert case.score.details == {"f1": 0.5, "polite": 0.5, "at_least(SemanticF1,0.6)": 1.0}
    assert "say please" in case.score.feedback


def test_an_async_metric_stays_async_and_travels():
    made = cloudpickle.loads(cloudpickle.dumps(all_of(polite, F1)))
    assert asyncio.run(made(ROW, PREDICTION)).value == 0.5
    assert asyncio.run(all_of(EXACT).acall(ROW, PREDICTION)).value == 0


def test_a_trace_reaches_metrics_and_ones_without_it_need_none():
    def traced(example, prediction, trace=None):
        return trace is not None

    assert all_of(traced)(ROW, PREDICTION, []).value == 1
    assert all_of(returning(1))(ROW, PREDICTION).value == 1


def test_a_part_that_returns_nothing_is_named():
    with pytest.raises(ValueError, match=r"the metric 'given' must return a finite number.*None \(NoneType\)"):
        all_of(EXACT, returning(None))(ROW, PREDICTION)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (all_of, "at least one metric"),
        (lambda: all_of("f1"), "can be called, not 'f1'"),
        (lambda: all_of(SemanticF1), "can be called"),
        (weighted, "at least one metric"),
        (lambda: weighted(F1), "pairs of a metric and its weight"),
        (lambda: weighted((F1, 0)), "above 0, not 0"),
        (lambda: weighted((F1, float("nan"))), "above 0, not nan"),
        (lambda: weighted((F1, "3")), "above 0, not '3'"),
        (lambda: at_least(F1, float("inf")), "finite number as threshold"),
        (lambda: at_least(F1, None), "finite number as threshold"),
    ],
)
def test_parts_that_cannot_be_combined_are_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


ASKED = Predict("question -> response")


def spent(metric):
    lm = ScriptedLM(lambda _: {"response": "the sea otter"}, model="gpt-4o-mini")
    with context(lm=lm):
        [case] = Evaluate(devset=[ROW], metric=metric, num_threads=1)(ASKED).cases
    return case


def test_what_a_run_took_is_a_score_in_an_evaluation():
    case = spent(all_of(at_least(tokens(), 1), tokens(at_most=10**6), latency(at_most=3600)))
    assert case.error is None
    assert case.score.value == 1
    assert case.prediction.get_spent() is None
    assert spent(tokens()).score.value == case.usage.total.total_tokens > 0
    few = spent(tokens(at_most=1)).score
    assert few.value == 0
    assert few.feedback.startswith("tokens should be at most 1 but is ")


def test_what_a_run_took_can_be_judged_again():
    with context(lm=ScriptedLM([{"response": "the sea otter"}])):
        result = Evaluate(devset=[ROW], metric=tokens(), num_threads=1)(ASKED)
    assert result.rejudge(tokens()).mean == result.mean > 0
    assert result.rejudge(latency(at_most=3600)).mean == 1


def test_the_usage_that_a_prediction_tracks_is_read_without_an_evaluation():
    prediction = Prediction(a=1)
    prediction.set_lm_usage({"gpt-4o-mini": {"prompt_tokens": 1_000_000, "completion_tokens": 0}})
    assert tokens()(ROW, prediction).value == 1_000_000
    assert 0 < cost()(ROW, prediction).value < 10
    assert cost(at_most=0.0001)(ROW, prediction).value == 0


UNKNOWN = [(tokens(), "track_usage"), (cost(), "track_usage"), (latency(), "Evaluate")]


@pytest.mark.parametrize(("metric", "message"), UNKNOWN)
def test_a_prediction_that_does_not_know_what_it_took_is_an_error_and_not_0(metric, message):
    with pytest.raises(ConfigurationError, match=message):
        metric(ROW, Prediction(a=1))


def test_an_unknown_price_is_an_error_and_not_0():
    prediction = Prediction(a=1)
    prediction.set_lm_usage({"nobody/knows": {"prompt_tokens": 10, "completion_tokens": 1}})
    with pytest.raises(ConfigurationError, match="'nobody/knows' is not known"):
        cost()(ROW, prediction)


@pytest.mark.parametrize("at_most", [-1, float("inf"), True])
def test_a_bound_that_decides_nothing_is_refused(at_most):
    with pytest.raises(ConfigurationError, match="at_most >= 0"):
        tokens(at_most)
