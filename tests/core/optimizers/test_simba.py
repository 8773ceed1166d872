"""SIMBA: what programs learn from examples on which their runs differ."""

import re

import pytest
from promises import TheSame, WithinItsLimits

import dspex_core as dspy
from dspex_core import ConfigurationError, OptimizationError, context
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.score import Score
from dspex_core.optimizers import SIMBA

ROWS = [
    dspy.Example(text=f"text {number}", label="yes" if number % 2 else "no").with_inputs("text") for number in range(12)
]


def right(example, prediction, trace=None):
    return Score(float(example.label == prediction.label), feedback=f"it is {example.label}")


def asks_for_rules(request):
    return "Compare two runs" in request.messages[0].text


def number_of(message):
    return int((re.findall(r"text (\d+)", message.text) or [-1])[-1])


def answered(request):
    """Right in a third of the rollouts; with rules on more texts, and on those whose remainder by four a demo has."""
    number = number_of(request.messages[-1])
    shown = {number_of(message) % 4 for message in request.messages[1:-1] if message.role == "user"}
    rules = len(re.findall(r"rule", request.messages[0].text))
    lucky = (number + (request.rollout_id or 0)) % 3 == 0 and request.rollout_id
    known = number % 4 in shown or number < 3 * rules
    return {"label": ("yes" if number % 2 else "no") if known or lucky else "unknown"}


def learning(request):
    if asks_for_rules(request):
        return {"discussion": "it was wrong", "module_advice": {"self": f"A rule of call {request.rollout_id}."}}
    return answered(request)


def compiled(script=learning, *, student=None, model=None, trainset=ROWS, given=None, **options):
    with context(lm=model or ScriptedLM(script)):
        optimizer = SIMBA(metric=right, **{"bsize": 6, "num_candidates": 3, "max_steps": 3, **options})
        return optimizer.compile(student or dspy.Predict("text -> label"), trainset=trainset, **(given or {}))


class TwoSteps(dspy.Module):
    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("text -> hint")
        self.second = dspy.ChainOfThought("text, hint -> label")

    def forward(self, text):
        return self.second(text=text, hint=self.first(text=text).hint)


def in_two_steps(request):
    if asks_for_rules(request):
        return {"module_advice": {"first": "A rule.", "second.predict": "Another rule.", "third": "x"}}
    text = request.messages[-1].text
    return {**answered(request), "reasoning": "so"} if "[[ ## hint ## ]]\n" in text else {"hint": "think"}


def rules_of(program):
    return sum(each.signature.instructions.count("rule") for each in program.predictors())


class TestTheSearch:
    def test_improves_the_program(self):
        trials = compiled().trials

        assert trials[0].name == "the student"
        assert trials.best.score > trials[0].score

    def test_gives_demos_of_good_runs_alone(self):
        program = compiled()

        assert program.demos
        assert all(demo.label == ("yes" if number_of_demo(demo) % 2 else "no") for demo in program.demos)

    def test_gives_rules_alone_where_no_demos_are_wanted(self):
        program = compiled(max_demos=0)

        assert not program.demos
        assert rules_of(program)

    def test_shows_the_writer_both_runs_with_their_remarks(self):
        writer = ScriptedLM(learning)

        compiled(max_demos=0, prompt_model=writer)

        prompt = writer.history[0].request.messages[-1].text
        assert "it is yes" in prompt or "it is no" in prompt
        assert "unknown" in prompt
        assert all(asks_for_rules(entry.request) for entry in writer.history)

    def test_teaches_each_predictor_of_a_program(self):
        program = compiled(in_two_steps, student=TwoSteps(), max_demos=0)

        first, second = program.predictors()
        assert "A rule." in first.signature.instructions
        assert "Another rule." in second.signature.instructions

    def test_takes_demos_of_each_predictor(self):
        program = compiled(in_two_steps, student=TwoSteps())

        first, second = program.predictors()
        assert {name for demo in first.demos for name in demo} == {"text", "hint"}
        assert {name for demo in second.demos for name in demo} == {"text", "hint", "reasoning", "label"}

    def test_cuts_long_texts_of_demos(self):
        program = compiled(demo_input_field_maxlen=4)

        assert {demo.text for demo in program.demos} == {"text ..."}

    def test_has_the_teachers_lm_make_one_of_the_runs(self):
        teacher, model = ScriptedLM(learning), ScriptedLM(learning)

        compiled(model=model, teacher_settings={"lm": teacher})

        assert len(teacher.history) == 3 * 6
        assert {entry.request.rollout_id for entry in teacher.history} == {1}

    def test_takes_the_whole_trainset_where_it_is_smaller_than_a_batch(self):
        assert compiled(bsize=100).trials.best.score > 0

    def test_learns_from_failing_runs(self):
        def failing(request):
            if not asks_for_rules(request) and request.rollout_id == 2:
                return "no fields at all"
            return learning(request)

        assert compiled(failing).trials.best.score > 0


def number_of_demo(demo):
    return int(re.findall(r"\d+", demo.text)[0])


class TestWhatItCosts(WithinItsLimits):
    compiled, script, script_of_two = staticmethod(compiled), staticmethod(learning), staticmethod(in_two_steps)
    two_steps, budgets = TwoSteps, (20, 70, 110)

    @staticmethod
    def planned(student):
        return SIMBA(metric=right, bsize=6, num_candidates=3, max_steps=3).plan(
            student or dspy.Predict("text -> label"), ROWS
        )

    def test_no_two_programs_of_the_leaderboard_have_the_same_prompts(self):
        states = [trial.program.dump_state() for trial in compiled(max_steps=5).trials]

        assert all(state not in states[:place] for place, state in enumerate(states))


class TestTheSame(TheSame):
    compiled, script, script_of_two = staticmethod(compiled), staticmethod(learning), staticmethod(in_two_steps)
    two_steps, kept = TwoSteps, (2, 60, 100)

    def test_program_for_the_same_seed_alone(self):
        first, same, other = (compiled(given={"seed": seed}).dump_state() for seed in (1, 1, 2))

        assert first == same
        assert first != other


class TestAnLMThatCannotWrite:
    @pytest.mark.parametrize(
        "reply",
        [
            "I cannot do that.",
            {"module_advice": ""},
            {"module_advice": {"nobody": "x"}},
            {"module_advice": {"self": ""}},
        ],
        ids=["no fields", "empty", "another module", "an empty rule"],
    )
    def test_leaves_demos_and_gives_one_warning(self, caplog, reply):
        program = compiled(lambda request: reply if asks_for_rules(request) else answered(request))

        assert not rules_of(program)
        assert program.demos
        assert len([record for record in caplog.records if "could not be used" in record.message]) == 1

    def test_but_writes_the_rule_alone_has_it_taken(self):
        def plainly(request):
            return {"module_advice": "A rule."} if asks_for_rules(request) else answered(request)

        assert rules_of(compiled(plainly, max_demos=0))


class TestBadInput:
    @pytest.mark.parametrize(
        "options",
        [{"bsize": 0}, {"num_candidates": 0}, {"max_steps": 0}, {"max_demos": -1}, {"temperature_for_sampling": 0}],
    )
    def test_options_are_checked_at_once(self, options):
        with pytest.raises(ConfigurationError, match=f"{next(iter(options))} must be"):
            SIMBA(metric=right, **options)

    @pytest.mark.parametrize("broken", ["metric", "program"])
    def test_that_fails_always_is_an_error(self, broken):
        def raising(example, prediction, trace=None):
            raise KeyError("label")

        model = ScriptedLM(learning if broken == "metric" else lambda request: "nothing")
        with context(lm=model), pytest.raises(OptimizationError, match=r"12 examples|36 runs"):
            SIMBA(metric=raising if broken == "metric" else right, bsize=6).compile(
                dspy.Predict("text -> label"), trainset=ROWS
            )
