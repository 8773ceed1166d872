"""`PairwiseJudge`: both orders, ties and inconsistent pairs, win rates."""

import asyncio

import cloudpickle
import pytest

from dspex_core import (
    ConfigurationError,
    Evaluate,
    Example,
    JudgeError,
    PairwiseJudge,
    Prediction,
    ScriptedLM,
    context,
    load,
    win_rate,
)

ROW = Example(question="q?", baseline="the old answer").with_inputs("question")
NEW = Prediction(answer="the new answer")


def script(answers):
    return ScriptedLM([{"reasoning": "because", "better": answer} for answer in answers])


@pytest.mark.parametrize(
    ("answers", "outcome", "value"),
    [
        (["A", "B"], "first", 1.0),
        (["B", "A"], "second", 0.0),
        (["tie", "tie"], "tie", 0.5),
        (["A", "A"], "inconsistent", 0.5),
        (["B", "B"], "inconsistent", 0.5),
        (["A", "tie"], "inconsistent", 0.5),
        (["tie", "A"], "inconsistent", 0.5),
    ],
)
def test_a_prediction_wins_only_where_both_orders_agree(answers, outcome, value):
    with context(lm=script(answers)):
        score = PairwiseJudge("helpful")(ROW, NEW)
    assert (score.details["outcome"], score.value) == (outcome, value)


def test_each_order_is_asked_with_the_responses_in_the_other_place():
    lm = script(["A", "B"])
    with context(lm=lm):
        PairwiseJudge("helpful")(ROW, NEW)
    first, second = (call["messages"][-1]["content"] for call in lm.history)
    for text in (first, second):
        assert text.index("(response A)") < text.index("(response B)")
        assert "q?" in text
    assert first.index("the new answer") < first.index("the old answer")
    assert second.index("the old answer") < second.index("the new answer")


def test_two_predictions_are_compared_sync_and_async():
    judge = PairwiseJudge("helpful")
    with context(lm=script(["A", "B", "B", "A"])):
        assert judge.compare(ROW, NEW, Prediction(answer="x")).outcome == "first"
        assert asyncio.run(judge.acompare(ROW, "one", "other")).outcome == "second"


def test_an_answer_that_names_neither_is_an_error_of_the_judge():
    with context(lm=script(["C"] * 4)), pytest.raises(JudgeError, match="pairwise_judge"):
        PairwiseJudge("helpful")(ROW, NEW)


def test_what_is_missing_is_named():
    with pytest.raises(ConfigurationError, match=r"'before'.*question, baseline"):
        PairwiseJudge("helpful", against="before")(ROW, NEW)
    with pytest.raises(ConfigurationError, match="lacks reply"):
        PairwiseJudge("helpful", fields=["reply"])(ROW, NEW)
    with pytest.raises(ConfigurationError, match="no field topic"):
        PairwiseJudge("helpful", inputs=["topic"])(ROW, NEW)


def test_the_win_rate_counts_ties_and_inconsistent_pairs_apart():
    judge = PairwiseJudge("helpful")
    answers = [*"ABABBA", "tie", "tie", *"AAAABB"]
    with context(lm=script(answers)):
        found = win_rate(judge.compare(ROW, NEW, "old") for _ in range(7))
    assert (found.wins, found.losses, found.ties, found.inconsistent) == (2, 1, 1, 3)
    assert found.rate == pytest.approx((2 + 0.5 * 4) / 7)
    assert found.interval.low < found.rate < found.interval.high
    assert (found.position.to_first, found.position.to_second) == (2, 1)
    assert found.position.bias == pytest.approx(1 / 7)


def test_the_win_rate_of_an_evaluation_is_its_mean():
    with context(lm=script([*"ABAA"])):
        result = Evaluate(devset=[ROW, ROW], metric=PairwiseJudge("helpful"), num_threads=1)(lambda question: NEW)
    found = win_rate(case.score for case in result.cases)
    assert result.mean == found.rate == 0.75
    assert found.inconsistent == 1


@pytest.mark.parametrize("comparisons", [[], [0.5], ["first"]])
def test_a_win_rate_is_made_of_comparisons(comparisons):
    with pytest.raises(ConfigurationError, match="comparison"):
        win_rate(comparisons)


def test_it_is_saved_and_loaded_as_any_program(tmp_path):
    judge = PairwiseJudge("helpful", against="old", fields=["answer"], inputs=[], votes=2)
    judge.save(tmp_path, save_program=True)
    for copy in (load(tmp_path), cloudpickle.loads(cloudpickle.dumps(judge))):
        assert copy.constructor_arguments() == judge.constructor_arguments()
