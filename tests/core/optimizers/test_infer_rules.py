"""InferRules: rules that an LM finds in examples."""

import re

import pytest
from promises import TheSame, WithinItsLimits

import dspex_core as dspy
from dspex_core import ConfigurationError, ContextWindowExceededError, OptimizationError, context
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.fields import exact_match
from dspex_core.optimizers import InferRules

CORRECT = exact_match("label")
ROWS = [
    dspy.Example(text=f"text {number}", label="yes" if number % 2 else "no").with_inputs("text") for number in range(20)
]
TRAIN, VAL = ROWS[:10], ROWS[10:]


def asks_for_rules(request):
    return "Find the rules" in request.messages[0].text


def answered(request):
    """Right on more texts with demos, and on more of them with a better rule."""
    number = int(re.findall(r"text (\d+)", request.messages[-1].text)[-1])
    shown = len(request.messages) > 2
    rule = max(map(int, re.findall(r"rule (\d+)", request.messages[0].text)), default=0)
    return {"label": ("yes" if number % 2 else "no") if number % 10 < 2 + 2 * shown + rule else "unknown"}


def learning(request):
    if asks_for_rules(request):
        return {"natural_language_rules": f"rule {request.rollout_id}"}
    return answered(request)


def compiled(script=learning, *, student=None, model=None, valset=VAL, given=None, **options):
    with context(lm=model or ScriptedLM(script)):
        optimizer = InferRules(metric=CORRECT, **{"num_candidates": 3, "max_labeled_demos": 2, **options})
        return optimizer.compile(
            student or dspy.Predict("text -> label"), trainset=TRAIN, valset=valset, **(given or {})
        )


class TwoSteps(dspy.Module):
    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("text -> hint")
        self.second = dspy.Predict("text, hint -> label")

    def forward(self, text):
        return self.second(text=text, hint=self.first(text=text).hint)


def in_two_steps(request):
    if asks_for_rules(request):
        return learning(request)
    return answered(request) if "[[ ## hint ## ]]\n" in request.messages[-1].text else {"hint": "think"}


class TestTheSearch:
    def test_takes_the_rules_that_score_best(self):
        program = compiled()

        assert [trial.score for trial in program.trials] == [0.2, 0.4, 0.5, 0.6, 0.7]
        assert program.signature.instructions.endswith("Follow these rules:\nrule 3")
        assert program.demos

    def test_keeps_the_student_where_rules_do_not_help(self):
        def unhelpful(request):
            return {"natural_language_rules": "Be good."} if asks_for_rules(request) else answered(request)

        program = compiled(unhelpful)

        assert program.trials.best.name == "demos alone"

    def test_shows_the_examples_and_how_many_rules_are_wanted(self):
        writer = ScriptedLM(learning)

        compiled(teacher_settings={"lm": writer}, num_rules=7)

        prompts = [entry.request.messages[-1].text for entry in writer.history if asks_for_rules(entry.request)]
        assert len(prompts) == 3
        assert all('{"text": "text 9", "label": "yes"}' in prompt and "\n7\n" in prompt for prompt in prompts)
        assert len(set(prompts)) == 3

    def test_finds_rules_for_each_predictor_from_labels_or_from_what_it_did_right(self):
        model = ScriptedLM(in_two_steps)

        program = compiled(model=model, student=TwoSteps())

        assert all("rule" in each.signature.instructions for each in program.predictors())
        shown = [entry.request.messages[-1].text for entry in model.history if asks_for_rules(entry.request)]
        assert '"hint": "think"' in shown[0]
        assert '"label": "yes"' in shown[1]

    def test_halves_the_examples_that_are_too_long_for_the_lm(self):
        def short(request):
            if asks_for_rules(request) and request.messages[-1].text.count('{"text"') > 3:
                return ContextWindowExceededError("too long", model="scripted")
            return learning(request)

        assert "Follow these rules" in compiled(short).signature.instructions

    def test_keeps_a_half_of_the_trainset_where_there_is_no_valset(self, caplog):
        trials = compiled(valset=None).trials

        assert {trial.total for trial in trials} == {5}
        assert "no valset was given" in caplog.text


class TestWhatItCosts(WithinItsLimits):
    compiled, script, script_of_two = staticmethod(compiled), staticmethod(learning), staticmethod(in_two_steps)
    two_steps, budgets = TwoSteps, (20, 35, 45)

    @staticmethod
    def planned(student):
        return InferRules(metric=CORRECT, num_candidates=3).plan(student or dspy.Predict("text -> label"), TRAIN, VAL)


class TestTheSame(TheSame):
    compiled, script, script_of_two = staticmethod(compiled), staticmethod(learning), staticmethod(in_two_steps)
    two_steps, kept = TwoSteps, (2, 25, 40)


@pytest.mark.parametrize(
    "reply",
    ["I cannot.", {"natural_language_rules": ""}, {"natural_language_rules": "Write one rule a line."}],
    ids=["no fields", "empty", "the prompt"],
)
def test_an_lm_that_cannot_write_rules_gives_one_warning_and_the_demos(caplog, reply):
    program = compiled(lambda request: reply if asks_for_rules(request) else answered(request))

    assert program.trials.best.name == "demos alone"
    assert len(program.trials) == 2
    assert len([record for record in caplog.records if "could not be used" in record.message]) == 1


class TestBadInput:
    @pytest.mark.parametrize("name", ["num_candidates", "num_rules"])
    def test_options_are_checked_at_once(self, name):
        with pytest.raises(ConfigurationError, match=f"{name} must be at least 1"):
            InferRules(**{name: 0})

    def test_is_an_error_before_any_call(self):
        model = ScriptedLM(learning)

        with context(lm=model), pytest.raises(OptimizationError, match="needs a metric"):
            InferRules().compile(dspy.Predict("text -> label"), trainset=TRAIN, valset=VAL)

        assert not model.history
