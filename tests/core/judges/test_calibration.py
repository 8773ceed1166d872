"""`calibrate` and `Judge.corrected`: agreement with people, biases, and means corrected for the judge's errors."""

import asyncio
import math
import random

import pytest

from dspex_core import (
    ConfigurationError,
    DatasetError,
    Evaluate,
    Example,
    Judge,
    JudgeError,
    PairwiseJudge,
    Prediction,
    Score,
    ScriptedLM,
    calibrate,
    context,
)
from dspex_core.judges import Calibration, acalibrate, cohens_kappa

# The judge's answer stands in the judged text: "3 ..." is answered with 3.
ANSWERING = ScriptedLM(lambda request: {"reasoning": "r", "score": judged_text(request).split()[0]})


def judged_text(request):
    return request.messages[-1].text.partition("(to judge):\n")[2].split("\n")[1]


def rows(*pairs, **fields):
    """Return rows by the judge's answer and the person's."""
    return [Example(answer=f"{answer} {number}", label=label, **fields) for number, (answer, label) in enumerate(pairs)]


def calibrated(*pairs, **options):
    with context(lm=ANSWERING):
        return calibrate(Judge("good", **options), rows(*pairs))


def test_agreement_is_counted_in_a_confusion_matrix_with_people_in_the_rows():
    found = calibrated((1, 1), (2, 1), (3, 3), (3, 3), (2, 3), scale=3)
    assert found.names == ("1", "2", "3")
    assert found.confusion == ((1, 1, 0), (0, 0, 0), (0, 1, 2))
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.bias == pytest.approx((0.5 - 0.5) / 5)


def test_kappa_is_the_agreement_beyond_chance():
    # Worked by hand: 70 of 100 agree, 50 would by chance.
    assert cohens_kappa([[35, 15], [15, 35]]) == pytest.approx(0.4)
    assert cohens_kappa([[25, 25], [25, 25]]) == pytest.approx(0.0)
    assert cohens_kappa([[0, 10], [10, 0]]) == pytest.approx(-1.0)
    assert cohens_kappa([[10, 0], [0, 0]]) == 1.0
    assert math.isnan(cohens_kappa([[0, 0], [0, 0]]))


@pytest.mark.parametrize(("power", "kappa"), [(0, 0.4977678571), (1, 0.5968645017), (2, 0.6966292135)])
def test_weighted_kappa_is_that_of_scikit_learn(power, kappa):
    # Of `sklearn.metrics.cohen_kappa_score`, without and with linear and quadratic weights.
    assert cohens_kappa([[10, 3, 1], [2, 8, 4], [0, 5, 12]], power=power) == pytest.approx(kappa)


def test_a_judge_that_favours_long_texts_is_found_out():
    labelled = [Example(answer=f"{answer} {'x' * length}", label=2) for answer, length in [(1, 5), (2, 50), (3, 500)]]
    with context(lm=ANSWERING):
        assert calibrate(Judge("good", scale=3), labelled).length_bias == pytest.approx(1.0)
    assert calibrated((2, 2), (2, 2), scale=3).length_bias == 0.0


@pytest.mark.parametrize(
    ("scale", "label", "value"), [(bool, True, 1), (bool, "no", 0), (bool, 0, 0), (5, "4", 0.75), ((0, 10), 7.0, 0.7)]
)
def test_labels_are_answers_on_the_judges_scale(scale, label, value):
    [row] = calibrated(({bool: "yes"}.get(scale, 5), label), scale=scale).rows
    assert row.label == pytest.approx(value)


@pytest.mark.parametrize("label", [0, 6, 2.5, "good", None, True])
def test_labels_that_are_not_on_the_scale_are_refused_with_their_rows_before_any_call(label):
    with pytest.raises(DatasetError, match=r"row 1: .*; row 2: "):
        calibrate(Judge("good"), rows((1, 1), (1, label), (1, label)))


@pytest.mark.parametrize("labelled", [[], ["text"], [(Example(), Prediction())]])
def test_what_are_not_labelled_rows_is_refused(labelled):
    with pytest.raises(DatasetError):
        calibrate(Judge("good"), labelled)


def test_rows_are_mappings_or_examples_with_inputs_or_given_apart():
    apart = (Example(question="q").with_inputs("question"), Prediction(answer="5 x"), 5)
    whole = Example(question="q", answer="5 x", label=5).with_inputs("question")
    with context(lm=ANSWERING):
        for row in ({"answer": "5 x", "label": 5}, whole, apart):
            assert calibrate(Judge("good", fields=["answer"]), [row]).accuracy == 1.0


def test_the_judge_does_not_see_the_label():
    seen = []

    def script(request):
        seen.append(str(request.messages))
        return {"reasoning": "r", "score": 1}

    with context(lm=ScriptedLM(script)):
        calibrate(Judge("good"), [{"answer": "a", "human": 5}], label="human")
    assert "human" not in seen[0]


def test_rows_on_which_the_judge_failed_are_listed_and_count_nowhere_else():
    found = calibrated((1, 1), (9, 5), (5, 5))
    assert (found.n, found.accuracy) == (2, 1.0)
    [(number, why)] = found.failures
    assert number == 1
    assert "less than or equal to 5" in why
    assert "judge failed" in found.to_table()


def test_a_judge_that_fails_on_each_row_has_no_calibration():
    with pytest.raises(JudgeError, match="each of the 2 rows"):
        calibrated((9, 5), (9, 4))


def test_a_pairwise_judge_is_compared_with_the_persons_choices_and_shows_its_bias_by_position():
    answers = {"new 0": "A", "new 1": "A", "old 2": "A"}

    def script(request):
        text = request.messages[-1].text
        first = text.partition("(response A):\n")[2].split("\n")[1]
        return {"reasoning": "r", "better": "A" if first in answers or "new 1" in text else "B"}

    labelled = [
        Example(answer=f"new {number}", baseline=f"old {number}", label=label)
        for number, label in enumerate(["first", "tie", "second"])
    ]
    with context(lm=ScriptedLM(script)):
        found = calibrate(PairwiseJudge("helpful"), labelled)
    assert found.confusion == ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    assert (found.position.n, found.position.inconsistent, found.position.to_first) == (3, 1, 1)
    with pytest.raises(DatasetError, match="first"):
        calibrate(PairwiseJudge("helpful"), [Example(answer="a", baseline="b", label=0.5)])


def test_a_metric_without_a_scale_is_compared_by_shares():
    labelled = [({}, {"answer": str(share)}, label) for share, label in [(0.9, 1), (0.2, False), (0.7, 0.4)]]
    found = calibrate(lambda example, prediction: float(prediction["answer"]), labelled)
    assert found.names == ("no", "yes")
    assert found.confusion == ((1, 1), (0, 1))


def test_calibration_is_async_too_and_its_table_shows_the_figures():
    async def run():
        with context(lm=ANSWERING):
            return await acalibrate(Judge("good", scale=bool), rows(("yes", True), ("no", True)))

    found = asyncio.run(run())
    table = found.to_table()
    assert "accuracy" in table
    assert "0.500" in table
    assert table.splitlines()[-1].split() == ["yes", "1", "1"]


def planted(draw, number):
    """Return the judge's and the person's scores; the judge takes 40 % of bad rows for good, 10 % of good for bad."""
    labels = [float(draw.random() < 0.6) for _ in range(number)]
    return [(1 - label if draw.random() < (0.1 if label else 0.4) else label, label) for label in labels]


def test_the_corrected_interval_holds_the_truth_where_the_judges_own_does_not():
    draw, held, naive = random.Random(7), 0, 0
    for _ in range(300):
        pairs = planted(draw, 200)
        found = Judge.corrected([score for score, _ in pairs[60:]], pairs[:60])
        held += found.interval.low <= 0.6 <= found.interval.high
        naive += found.naive_interval.low <= 0.6 <= found.naive_interval.high
    assert 0.92 <= held / 300 <= 0.985
    assert naive / 300 < 0.5


def test_a_calibration_and_an_evaluation_give_the_corrected_mean():
    judge, program = Judge("good", scale=bool), lambda answer: Prediction(answer=answer)
    draw = random.Random(1)
    pairs = [(("no", "yes")[int(score)], bool(label)) for score, label in planted(draw, 120)]
    with context(lm=ANSWERING):
        calibration = calibrate(judge, rows(*pairs[:40]))
        devset = [row.without("label").with_inputs("answer") for row in rows(*pairs[40:])]
        result = Evaluate(devset=devset, metric=judge)(program)
    found = judge.corrected(result, calibration)
    assert (found.labelled, found.judged) == (40, 80)
    assert found.naive_mean == pytest.approx(result.mean)
    assert found.interval.low < found.mean < found.interval.high
    assert found == Judge.corrected([Score(case.score.value) for case in result.cases], calibration.pairs)
    assert "corrected" in found.to_table()


def test_a_stand_in_for_a_score_is_not_taken_for_one():
    with context(lm=ANSWERING):
        devset = [Example(answer=text).with_inputs("answer") for text in ("5 x", "9 x")]
        result = Evaluate(devset=devset, metric=Judge("good"))(lambda answer: Prediction(answer=answer))
    with pytest.raises(ConfigurationError, match="failed on 1 rows"):
        Judge.corrected(result, [(1.0, 1.0)] * 5)


@pytest.mark.parametrize(
    ("judged", "labelled"),
    [
        ([1.0, 0.0], [(1.0, 1.0)] * 2),
        ([1.0], [(1.0, 1.0)] * 5),
        (["good", 1.0], [(1.0, 1.0)] * 5),
        ([1.0, 0.0], [1.0, 0.0, 1.0]),
        ([1.0, 0.0], [("yes", 1.0)] * 5),
        ([1.0, math.nan], [(1.0, 1.0)] * 5),
    ],
)
def test_scores_that_correct_nothing_are_refused(judged, labelled):
    with pytest.raises(ConfigurationError):
        Judge.corrected(judged, labelled)


def test_calibrations_are_values_that_compare():
    assert calibrated((1, 1)) == calibrated((1, 1))
    assert isinstance(calibrated((1, 1)), Calibration)
