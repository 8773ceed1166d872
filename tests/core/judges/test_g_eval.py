"""`GEval`: steps written once, scores weighed by probabilities, else votes."""

import math

import pytest

from dspex_core import (
    ConfigurationError,
    Evaluate,
    Example,
    GEval,
    JudgeError,
    LMInvalidRequestError,
    LMOutput,
    Prediction,
    ScriptedLM,
    context,
    load,
)
from dspex_core.optimizers.fingerprint import metric_data

ROW = Example(question="q").with_inputs("question")
REPLY = Prediction(answer="a")
STEPS = ["Read the answer.", "2. Count its words.", "- Give a score."]


class Model:
    """Writes steps, and answers with scores in order; counts what it was asked for."""

    def __init__(self, *scores, logprobs=None, refuses_logprobs=False):
        self.scores, self.logprobs, self.refuses = list(scores), logprobs, refuses_logprobs
        self.wrote, self.asked = 0, []

    def __call__(self, request):
        if "[[ ## steps ## ]]" in request.messages[0].text:
            self.wrote += 1
            return {"steps": STEPS}
        self.asked.append(request)
        if self.refuses and "logprobs" in request.config:
            return LMInvalidRequestError("unknown parameter: logprobs", status=400)
        score = self.scores.pop(0) if len(self.scores) > 1 else self.scores[0]
        text = f"[[ ## score ## ]]\n{score}\n\n[[ ## reasoning ## ]]\nwhy\n\n[[ ## completed ## ]]"
        return LMOutput(text, logprobs=self.logprobs)


def tokens(**probabilities):
    """Return the probabilities of a reply whose score is the first of these."""
    written = {name.strip("_"): probability for name, probability in probabilities.items()}
    listed = [{"token": token, "logprob": math.log(p)} for token, p in written.items()]
    parts = [
        {"token": "[[ ## score ## ]]\n", "logprob": 0.0, "top_logprobs": []},
        {**listed[0], "top_logprobs": listed},
    ]
    return {"content": [*parts, {"token": "\n", "logprob": 0.0, "top_logprobs": []}]}


def test_the_steps_are_written_once_and_shown_with_each_text():
    model, judge = Model(4), GEval("short", votes=1)
    assert judge.evaluation_steps == ()
    with context(lm=ScriptedLM(model)):
        judge(ROW, REPLY)
        judge(ROW, REPLY)
    assert model.wrote == 1
    assert judge.evaluation_steps == ("Read the answer.", "Count its words.", "Give a score.")
    assert all("2. Count its words." in request.messages[0].text for request in model.asked)


def test_threads_that_judge_at_once_all_judge_by_the_same_steps():
    model, judge = Model(4), GEval("short", votes=1)
    with context(lm=ScriptedLM(model)):
        Evaluate(devset=[ROW] * 8, metric=judge, num_threads=4)(lambda question: REPLY)
    shown = {request.messages[0].text for request in model.asked}
    assert len(shown) == 1
    assert shown.pop().count("Read the answer.") == 1


def test_a_journal_goes_on_although_the_judge_has_its_steps_meanwhile(tmp_path):
    model, judge = Model(4), GEval("short", votes=1)
    run = Evaluate(devset=[ROW], metric=judge, journal=tmp_path / "run.jsonl")
    with context(lm=ScriptedLM(model)):
        assert run(lambda question: REPLY).mean == run(lambda question: REPLY).mean
    assert len(model.asked) == 1


def test_what_a_compiled_program_is_stale_by_does_not_depend_on_whether_the_metric_was_called():
    judge = GEval("short", votes=1)
    before = metric_data(judge)
    with context(lm=ScriptedLM(Model(4))):
        judge(ROW, REPLY)
    assert metric_data(judge) == before


@pytest.mark.parametrize("save_program", [True, False])
def test_saved_steps_are_not_written_again(tmp_path, save_program):
    model, judge = Model(4), GEval("short", votes=1, scale=(0, 4))
    path = tmp_path / "judge.json"
    with context(lm=ScriptedLM(model)):
        judge(ROW, REPLY) if save_program else judge.write_steps()
        judge.save(path, save_program=save_program)
        copy = load(path) if save_program else GEval("short", votes=1, scale=(0, 4))
        if not save_program:
            copy.load(path)
        assert copy(ROW, REPLY).value == 1.0
    assert copy.evaluation_steps == judge.evaluation_steps
    assert model.wrote == 1


class Recorder:
    def replay(self, model, request):
        return None

    def record(self, model, request, response):
        pass


def test_each_recorder_gets_the_call_for_the_steps_so_that_no_cassette_needs_another():
    model, judge = Model(4), GEval("short", votes=1)
    for recorder in (Recorder(), Recorder()):
        with context(lm=ScriptedLM(model), recorder=recorder):
            judge(ROW, REPLY)
            judge(ROW, REPLY)
    assert judge.evaluation_steps
    assert len(model.asked) == 4
    assert model.wrote == 3  # the second recorder's steps are not kept, and so are asked for in each call


def test_given_steps_are_used_and_empty_ones_refused():
    assert GEval("short", steps=STEPS).evaluation_steps == ("Read the answer.", "Count its words.", "Give a score.")
    for steps in ([], "Read it.", ["", " "]):
        with pytest.raises(ConfigurationError, match="steps of evaluation"):
            GEval("short", steps=steps)


@pytest.mark.parametrize(
    ("scale", "probabilities", "value"),
    [
        (5, {"_4": 0.6, "_5": 0.3, "_3": 0.1}, 0.6 * 0.75 + 0.3 * 1 + 0.1 * 0.5),
        (5, {"_4": 0.45, " 4": 0.45, "four": 0.1}, 0.75),
        (bool, {"yes": 0.7, "no": 0.2, "Yes": 0.1}, 0.8),
    ],
)
def test_the_score_is_weighed_by_the_probabilities_of_the_answers(scale, probabilities, value):
    answer = next(iter(probabilities)).strip("_ ")
    model = Model(answer, logprobs=tokens(**probabilities))
    with context(lm=ScriptedLM(model)):
        score = GEval("short", steps=STEPS, scale=scale)(ROW, REPLY)
    assert score.value == pytest.approx(value)
    assert sum(score.details["probabilities"].values()) == pytest.approx(1)
    assert len(model.asked) == 1


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": [{"token": 4}]},
        [],
        tokens(_4=0.3, four=0.6),  # most of the probability is not on the scale
        {"content": [{"token": "score", "logprob": 0.0}, {"token": ": 4", "logprob": 0.0}]},  # no token of its own
    ],
)
def test_without_probabilities_of_the_answer_there_are_votes(logprobs):
    model = Model(4, 5, 3, logprobs=logprobs)
    with context(lm=ScriptedLM(model)):
        score = GEval("short", steps=STEPS, votes=3)(ROW, REPLY)
    assert score.details["votes"] == [0.75, 1.0, 0.5]
    assert [request.rollout_id for request in model.asked] == [0, 1, 2]
    assert all(request.config["temperature"] > 0 for request in model.asked)


def test_an_lm_that_refuses_to_return_probabilities_gives_votes():
    model = Model(4, 5, refuses_logprobs=True)
    with context(lm=ScriptedLM(model)):
        assert GEval("short", steps=STEPS, votes=2)(ROW, REPLY).details["votes"] == [0.75, 1.0]
        model.asked.clear()
        GEval("short", steps=STEPS, votes=2, logprobs=False)(ROW, REPLY)
    assert len(model.asked) == 2


def test_steps_that_cannot_be_read_are_an_error_of_the_judge():
    with context(lm=ScriptedLM(lambda _: "nothing")), pytest.raises(JudgeError, match="g_eval"):
        GEval("short")(ROW, REPLY)
