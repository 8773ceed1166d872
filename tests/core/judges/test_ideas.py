"""Metrics that ask a model."""

import pytest

from dspex_core import (
    AdapterParseError,
    CompleteAndGrounded,
    Evaluate,
    Example,
    Prediction,
    ScriptedLM,
    SemanticF1,
    context,
    load,
)

ROW = Example(question="Who dives?", response="Otters.").with_inputs("question")


def judged(recall, precision):
    return {"reasoning": "so", "recall": recall, "precision": precision}


@pytest.mark.parametrize(
    ("recall", "precision", "score"), [(1.0, 0.5, 2 / 3), (0, 0, 0.0), (0, 1, 0.0), (1.5, 1, 1.0), (-1, 1, 0.0)]
)
def test_the_score_is_the_harmonic_mean_of_shares(recall, precision, score):
    with context(lm=ScriptedLM([judged(recall, precision)])):
        assert SemanticF1()(ROW, Prediction(response="Otters do.")).score == pytest.approx(score)


@pytest.mark.parametrize("judge", [SemanticF1(), SemanticF1(decompositional=True), CompleteAndGrounded()])
@pytest.mark.parametrize("share", ["nan", "inf", "-inf", "NaN"])
def test_a_share_that_is_not_a_number_is_asked_for_again_and_then_an_error_not_a_score(judge, share):
    shares = ["0.5"]

    def script(request):
        texts = ("reasoning", "ground_truth_key_ideas", "system_response_key_ideas", "system_response_claims")
        names = (*texts, "discussion", "recall", "precision", "completeness", "groundedness")
        asked = [name for name in names if f"{name} ##" in request.messages[0].text]
        return "\n".join(f"[[ ## {name} ## ]]\n{shares[0]}" for name in asked)

    lm, made = ScriptedLM(script), Prediction(response="Otters do.", context="Otters dive.")
    with context(lm=lm):
        assert judge(ROW, made).score == 0.5
        before = len(lm.history)
        shares[0] = share
        with pytest.raises(AdapterParseError):
            judge(ROW, made)
    assert len(lm.history) == before + 2


@pytest.mark.parametrize(("threshold", "good"), [(0.66, True), (0.7, False)])
def test_with_a_trace_it_says_whether_that_is_good_enough(threshold, good):
    with context(lm=ScriptedLM([judged(1.0, 0.5)])):
        assert SemanticF1(threshold)(ROW, Prediction(response="Otters do."), trace=[]).score is good


@pytest.mark.parametrize("decompositional", [False, True])
def test_the_model_is_shown_the_question_and_both_responses(decompositional):
    ideas = dict.fromkeys(("ground_truth_key_ideas", "system_response_key_ideas", "discussion"), "i")
    lm = ScriptedLM([{**ideas, **judged(1, 1)}])
    with context(lm=lm):
        SemanticF1(decompositional=decompositional)(ROW, Prediction(response="They do."))
    system, user = lm.history[0].request.messages
    assert all(text in user.text for text in ("Who dives?", "Otters.", "They do."))
    assert ("key_ideas" in system.text) is decompositional


def test_it_is_a_metric_of_an_evaluation():
    with context(lm=ScriptedLM([judged(1.0, 0.5), judged(1.0, 1.0)])):
        result = Evaluate(devset=[ROW] * 2, metric=SemanticF1(), num_threads=1)(
            lambda question: Prediction(response="x")
        )
    assert result.metric == "SemanticF1"
    assert result.mean == pytest.approx(5 / 6)


def test_it_is_saved_as_a_whole(tmp_path):
    SemanticF1(0.5, decompositional=True).save(tmp_path, save_program=True)
    again = load(tmp_path)
    assert (again.threshold, again.decompositional) == (0.5, True)
    assert "discussion" in again.module.predict.signature.output_fields
