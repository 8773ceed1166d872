"""COPRO: instructions that an LM writes, and the search for the best of them."""

import re
from functools import partial

import pytest
from promises import TheSame, WithinItsLimits

import dspex_core as dspy
from dspex_core import ConfigurationError, OptimizationError, context
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.optimizers import COPRO

ROWS = [
    dspy.Example(text=f"text {number}", label="yes" if number % 2 else "no").with_inputs("text") for number in range(8)
]


def right(example, prediction, trace=None):
    return example.label == prediction.label


def asks_for_words(request):
    return "Write a better instruction" in request.messages[0].text


def level_of(text):
    """How good an instruction is: it says so itself."""
    return max(map(int, re.findall(r"level (\d+)", text)), default=0)


def answered(request):
    """Right on as many texts as the level of the instruction says."""
    number = int(re.findall(r"text (\d+)", request.messages[-1].text)[-1])
    answer = "yes" if number % 2 else "no"
    return {"mood": "calm", "label": answer if number < level_of(request.messages[0].text) else "unknown"}


def improving(request):
    """An LM that writes an instruction one level above those that it is shown, or the old one."""
    if not asks_for_words(request):
        return answered(request)
    level = level_of(request.messages[-1].text) + request.rollout_id % 2
    return {"proposed_instruction": f'"Label it, level {level}"', "proposed_prefix_for_output_field": "Answer:"}


def compiled(script=improving, *, student=None, model=None, trainset=ROWS, given=None, **options):
    model = model or ScriptedLM(script)
    with context(lm=model):
        optimizer = COPRO(metric=right, **{"breadth": 3, "depth": 3, **options})
        return optimizer.compile(student or dspy.Predict("text -> label"), trainset=trainset, **(given or {}))


class TwoSteps(dspy.Module):
    """Right only if both instructions are good: the second shows only after the first."""

    def __init__(self):
        super().__init__()
        self.first = dspy.Predict("text -> hint")
        self.second = dspy.ChainOfThought("text, hint -> label")

    def forward(self, text):
        return self.second(text=text, hint=self.first(text=text).hint)


def in_two_steps(request):
    if asks_for_words(request):
        number = request.rollout_id
        return {"proposed_instruction": f"level {number % 4}", "proposed_prefix_for_output_field": ""}
    level = level_of(request.messages[0].text)
    text = request.messages[-1].text
    if "[[ ## hint ## ]]\n" not in text:
        return {"hint": f"level {level}"}
    good = level == 3 or level_of(text) == 2
    number = int(re.findall(r"text (\d+)", text)[-1])
    return {"reasoning": "so", "label": ("yes" if number % 2 else "no") if good and number < 6 else "unknown"}


class TestTheSearch:
    def test_climbs_from_round_to_round(self):
        program = compiled()

        assert program.signature.instructions == "Label it, level 3"
        assert program.trials.best.score == 3 / 8

    def test_sets_the_prefix_of_the_last_output_and_no_other(self):
        program = compiled(student=dspy.Predict("text -> mood, label"))

        assert program.signature.fields["label"].prefix == "Answer:"
        assert program.signature.fields["mood"].prefix == "Mood:"

    def test_keeps_the_student_where_nothing_is_better(self):
        student = dspy.Predict(dspy.Signature("text -> label", "Label it well, level 8"))

        program = compiled(student=student)

        assert program.signature.instructions == "Label it well, level 8"
        assert program.trials.best.number == 1

    def test_takes_predictors_in_turn(self):
        program = compiled(in_two_steps, student=TwoSteps(), breadth=4)

        assert program.trials.best.score == 6 / 8
        changed = {path for path, each in program.named_predictors() if each.signature.instructions.startswith("level")}
        assert changed

    def test_keeps_demos_and_the_predictors_lm(self):
        model = ScriptedLM(improving)
        student = dspy.Predict("text -> label")
        student.demos = [dspy.Example(text="text 9", label="yes")]
        student.lm = model

        program = COPRO(metric=right, breadth=2, depth=1).compile(student, trainset=ROWS)

        assert [dict(demo) for demo in program.demos] == [{"text": "text 9", "label": "yes"}]
        assert program.lm is model

    def test_scores_on_the_valset_where_there_is_one(self):
        program = compiled(given={"valset": ROWS[:2]}, trainset=ROWS[2:])

        assert {trial.total for trial in program.trials} == {2}
        assert program.trials.best.score == 1.0

    def test_asks_the_prompt_model_for_instructions(self):
        writer, model = ScriptedLM(improving), ScriptedLM(improving)

        compiled(model=model, prompt_model=writer)

        assert len(writer.history) == 2 + 3 + 3
        assert all(asks_for_words(entry.request) for entry in writer.history)
        assert not any(asks_for_words(entry.request) for entry in model.history)
        assert {entry.request.config["temperature"] for entry in writer.history} == {1.4}


class TestWhatItCosts(WithinItsLimits):
    compiled = staticmethod(partial(compiled, breadth=4))
    script, script_of_two = staticmethod(improving), staticmethod(in_two_steps)
    two_steps, budgets = TwoSteps, (12, 30, 40)

    @staticmethod
    def planned(student):
        return COPRO(metric=right, breadth=4, depth=3).plan(student or dspy.Predict("text -> label"), ROWS)

    def test_programs_with_the_same_prompts_are_scored_once(self):
        def repeating(request):
            if not asks_for_words(request):
                return answered(request)
            prefix = f"Prefix {request.rollout_id}:"
            return {"proposed_instruction": "Label it, level 1", "proposed_prefix_for_output_field": prefix}

        assert len(compiled(repeating).trials) == 2

    def test_a_users_adapter_that_shows_the_prefix_has_it_tried(self):
        class Shown(dspy.ChatAdapter):
            def format_field_structure(self, signature):
                return super().format_field_structure(signature) + list(signature.fields.values())[-1].prefix

        def in_prefix(request):
            if not asks_for_words(request):
                return answered(request)
            return {"proposed_instruction": "Label it", "proposed_prefix_for_output_field": "level 5"}

        with context(adapter=Shown()):
            program = compiled(in_prefix, student=dspy.Predict(dspy.Signature("text -> label", "Label it")))

        assert program.signature.fields["label"].prefix == "level 5"
        assert program.trials.best.score == 5 / 8

    def test_a_program_that_is_clearly_worse_is_not_scored_on_all_rows(self):
        def getting_worse(request):
            if asks_for_words(request):
                return {"proposed_instruction": f"level {50 - 5 * request.rollout_id}"}
            return answered(request)

        rows = [dspy.Example(text=f"text {n}", label="yes" if n % 2 else "no").with_inputs("text") for n in range(50)]
        raced, whole = (compiled(getting_worse, trainset=rows, depth=2, racing=racing) for racing in (True, False))

        assert raced.signature.instructions == whole.signature.instructions == "level 45"
        assert raced.trials.best.score == whole.trials.best.score == 0.9
        assert raced.trials.spent.calls < whole.trials.spent.calls
        assert not all(trial.is_full for trial in raced.trials)


class TestTheSame(TheSame):
    compiled, script, script_of_two = staticmethod(compiled), staticmethod(in_two_steps), staticmethod(in_two_steps)
    two_steps, kept = TwoSteps, (2, 30, 60)
    student = TwoSteps


class TestAnLMThatCannotWrite:
    @pytest.mark.parametrize(
        "reply",
        [
            "I cannot do that.",
            {"proposed_instruction": "", "proposed_prefix_for_output_field": ""},
            {"proposed_instruction": "Do not do the task yourself.", "proposed_prefix_for_output_field": "x"},
            {"proposed_instruction": dspy.Signature("text -> label").instructions},
        ],
        ids=["no fields", "empty", "the prompt", "the old one"],
    )
    def test_gives_one_warning_and_the_student(self, caplog, reply):
        program = compiled(lambda request: reply if asks_for_words(request) else answered(request))

        assert program.signature.instructions == dspy.Predict("text -> label").signature.instructions
        assert len(program.trials) == 1
        assert len([record for record in caplog.records if "could not be used" in record.message]) == 1

    def test_but_leaves_out_the_prefix_has_its_instructions_tried(self, caplog):
        def without_prefix(request):
            return {"proposed_instruction": "level 8"} if asks_for_words(request) else answered(request)

        program = compiled(without_prefix, depth=1)

        assert program.signature.instructions == "level 8"
        assert program.signature.fields["label"].prefix == "Label:"
        assert not caplog.records


class TestWhatDSPyHas:
    def test_statistics_by_predictor(self):
        program = compiled(track_stats=True)

        assert program.total_calls == len(program.trials)
        (best,), (latest,) = program.results_best.values(), program.results_latest.values()
        assert best["depth"] == latest["depth"] == [0, 1, 2]
        assert best["max"] == [12.5, 25.0, 37.5]
        assert set(best) == {"depth", "max", "average", "min", "std"}

    def test_statistics_only_where_they_are_asked_for(self):
        program = compiled()

        assert not hasattr(program, "results_best")
        assert program.deepcopy().dump_state() == program.dump_state()

    def test_options_of_its_evaluation(self):
        given = {"eval_kwargs": {"num_threads": 2, "display_progress": False, "display_table": 0}}

        assert compiled(given=given).dump_state() == compiled().dump_state()

    def test_options_that_may_be_set_later(self):
        optimizer = COPRO(None, right, 2, 1, 1.0)
        optimizer.track_stats = True

        with context(lm=ScriptedLM(improving)):
            assert optimizer.compile(dspy.Predict("text -> label"), trainset=ROWS).results_best


class TestBadInput:
    @pytest.mark.parametrize(
        ("options", "words"), [({"breadth": 1}, "breadth must be greater than 1"), ({"depth": 0}, "depth must be at")]
    )
    def test_options_are_checked_at_once(self, options, words):
        with pytest.raises(ConfigurationError, match=words):
            COPRO(metric=right, **options)

    @pytest.mark.parametrize(
        ("options", "given", "words"),
        [
            ({"metric": None}, {}, "needs a metric"),
            ({}, {"eval_kwargs": {"threads": 2}}, "eval_kwargs takes num_threads and max_errors, not 'threads'"),
            ({}, {"trainset": []}, "trainset is empty"),
            ({}, {"trainset": iter(ROWS)}, "must be a list"),
        ],
        ids=["metric", "eval_kwargs", "empty", "iterator"],
    )
    def test_is_an_error_before_any_call(self, options, given, words):
        model = ScriptedLM(improving)

        with context(lm=model), pytest.raises(OptimizationError, match=words):
            COPRO(**{"metric": right, **options}).compile(dspy.Predict("text -> label"), **{"trainset": ROWS, **given})

        assert not model.history

    def test_a_metric_that_always_raises_is_an_error(self):
        def broken(example, prediction, trace=None):
            raise KeyError("label")

        with context(lm=ScriptedLM(improving)), pytest.raises(OptimizationError, match="raised on each of 8"):
            COPRO(metric=broken, breadth=2, depth=1).compile(dspy.Predict("text -> label"), trainset=ROWS)
