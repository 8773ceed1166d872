"""MIPROv2 on landscapes where the right instruction and the right demos raise the score."""

import logging
import re
import sys

import pytest

from dspex_core import Budget, ConfigurationError, LMNotConfiguredError, OptimizationError, context
from dspex_core.dspy_paths.teleprompt import MIPROv2
from dspex_core.example import Example
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.fields import exact_match
from dspex_core.optimizers.mipro import MIPRO
from dspex_core.optimizers.proposers.grounded import GroundedProposer
from dspex_core.optimizers.search.parts import Parts
from dspex_core.programs.base import Module
from dspex_core.programs.predict import Predict
from tests.support.landscapes import instruction_landscape

CORRECT = exact_match("label")
ROWS = [Example(text=f"text {number}", label=f"label {number % 3}").with_inputs("text") for number in range(100)]
TRAIN, VAL = ROWS[:12], ROWS[12:36]
LARGE = ROWS[12:72]


class TwoSteps(Module):
    """Two predictors, of which examples have labels for the second only."""

    def __init__(self):
        self.first = Predict("text -> note")
        self.second = Predict("text, note -> label")

    def forward(self, text):
        return self.second(text=text, note=self.first(text=text).note)


def asked(model):
    return sum(not entry.response.cached for entry in model.history)


def compiled(*, model=None, by=None, student=None, **given):
    with context(lm=model or ScriptedLM(instruction_landscape)):
        optimizer = by or MIPROv2(CORRECT)
        return optimizer.compile(student or Predict("text -> label"), **{"trainset": TRAIN, "valset": VAL, **given})


class TestTheSearch:
    def test_begins_with_the_program_as_it_is_and_ends_with_a_better_one(self):
        program = compiled()

        first, best = program.trials[0], program.trials.best
        assert first.name == "as it is"
        assert best.score > first.score + 0.3
        assert "Rule" in program.signature.instructions or program.demos

    def test_searches_instructions_alone_without_demos(self):
        program = compiled(by=MIPROv2(CORRECT, max_bootstrapped_demos=0, max_labeled_demos=0))

        assert "Rule" in program.signature.instructions
        assert not program.demos
        assert all("demos" not in trial.name for trial in program.trials)

    def test_gives_each_predictor_its_own_instruction_and_demos(self):
        program = compiled(student=TwoSteps())

        assert {name.partition(":")[0] for trial in program.trials for name in trial.choices} == {"first", "second"}
        assert program.trials.best.score > program.trials[0].score

    def test_changes_neither_student_nor_teacher(self):
        student, teacher = Predict("text -> label"), Predict("text -> label")
        before = student.dump_state(), teacher.dump_state()

        compiled(student=student, teacher=teacher)

        assert (student.dump_state(), teacher.dump_state()) == before

    def test_keeps_the_student_s_own_demos_unless_others_are_better(self):
        student = Predict("text -> label")
        student.demos = [ROWS[number] for number in range(99, 89, -1)]

        program = compiled(student=student)

        assert program.trials[0].score == 1.0
        assert list(program.demos) == list(student.demos)

    @pytest.mark.parametrize("threads", [1, 8])
    def test_ends_the_same_for_the_same_seed_at_any_concurrency(self, threads):
        once = compiled(by=MIPROv2(CORRECT, num_threads=4), valset=LARGE, seed=3)
        again = compiled(by=MIPROv2(CORRECT, num_threads=threads), valset=LARGE, seed=3)

        assert again.dump_state() == once.dump_state()
        assert [trial.scores for trial in again.trials] == [trial.scores for trial in once.trials]

    def test_of_a_large_valset_chooses_only_between_what_ran_on_all_of_it(self):
        program = compiled(valset=LARGE)

        partial = [trial for trial in program.trials if not trial.is_full]
        full = [trial for trial in program.trials if trial.is_full]
        assert len(partial) >= 5
        assert all(trial.n >= 35 for trial in partial)
        assert len(full) == 1 + 2  # after five minibatches, and after ten
        assert program.trials.best in full

    def test_runs_no_combination_twice_on_a_row(self):
        model = ScriptedLM(instruction_landscape)

        program = compiled(model=model, valset=LARGE)

        prompts = [str(entry.request.messages) for entry in model.history if "description" not in str(entry.request)]
        scored = sum(trial.spent.calls for trial in program.trials)
        known = {}
        for trial in program.trials:
            known.setdefault(tuple(sorted(trial.choices.items())), set()).update(trial.scores)
        assert scored == sum(map(len, known.values()))
        assert scored <= len(prompts)


class TestItsNumbers:
    @pytest.mark.parametrize(
        ("auto", "zero_shot", "trials"), [("light", False, 10), ("medium", False, 18), ("heavy", True, 27)]
    )
    def test_are_those_of_dspy(self, auto, zero_shot, trials):
        demos = {"max_bootstrapped_demos": 0, "max_labeled_demos": 0} if zero_shot else {}
        optimizer = MIPROv2(CORRECT, auto=auto, **demos)

        plan = optimizer.plan(Predict("text -> label"), TRAIN, VAL)

        assert plan.val_runs == len(VAL) * (1 + trials)

    @pytest.mark.parametrize("demos", [{}, {"max_bootstrapped_demos": 0, "max_labeled_demos": 0}])
    @pytest.mark.parametrize("valset", [VAL, LARGE, None])
    def test_are_planned_beforehand(self, demos, valset):
        model, optimizer = ScriptedLM(instruction_landscape), MIPROv2(CORRECT, **demos)

        compiled(model=model, by=optimizer, trainset=TRAIN if valset else ROWS[:30], valset=valset)

        plan = optimizer.plan(Predict("text -> label"), TRAIN if valset else ROWS[:30], valset)
        assert 0 < asked(model) <= plan.calls

    def test_may_be_given(self):
        program = compiled(by=MIPROv2(CORRECT, auto=None, num_candidates=3), num_trials=4, minibatch=False)

        assert len(program.trials) == 1 + 4

    @pytest.mark.parametrize(
        ("options", "given", "message"),
        [
            ({"num_candidates": 3}, {}, "auto='light' decides num_candidates and num_trials"),
            ({}, {"num_trials": 3}, "auto='light' decides num_candidates and num_trials"),
            ({"auto": None}, {"num_trials": 3}, "num_candidates .* needed"),
            ({"auto": None, "num_candidates": 8}, {}, "num_trials is needed: about 12"),
            ({"auto": None, "num_candidates": 3}, {"num_trials": 3}, "minibatch_size=35 is more than the 24 rows"),
            ({"auto": None, "num_candidates": 3}, {"num_trials": -1}, "num_trials must be at least 0, not -1"),
        ],
    )
    def test_that_contradict_each_other_are_refused_before_any_call(self, options, given, message):
        model = ScriptedLM(instruction_landscape)

        with pytest.raises(ConfigurationError, match=message):
            compiled(model=model, by=MIPROv2(CORRECT, **options), **given)

        assert not model.history

    def test_of_auto_are_three(self):
        with pytest.raises(ConfigurationError, match="not 'tiny'"):
            MIPROv2(CORRECT, auto="tiny")

    def test_without_optuna_are_of_no_use(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "optuna", None)
        model = ScriptedLM(instruction_landscape)

        with pytest.raises(ConfigurationError, match=r"pip install 'pytest-dspex\[optimize\]'"):
            compiled(model=model)

        assert not model.history


class TestTheSets:
    def test_share_no_row_where_no_valset_is_given(self, caplog):
        program = compiled(trainset=ROWS[:40], valset=None)

        assert "32 of the 40 training examples" in caplog.text
        assert program.trials.best.total == 32

    def test_that_share_rows_are_warned_of(self, caplog):
        compiled(trainset=TRAIN, valset=TRAIN)

        assert "12 of the 12 examples of the valset are in the trainset" in caplog.text

    @pytest.mark.parametrize("trainset", [[], (row for row in TRAIN), ROWS[:1]])
    def test_that_cannot_be_used_are_refused_before_any_call(self, trainset):
        model = ScriptedLM(instruction_landscape)

        with pytest.raises(OptimizationError, match=r"trainset|valset"):
            compiled(model=model, trainset=trainset, valset=None)

        assert not model.history


class TestWhatCanGoWrong:
    def test_a_budget_returns_the_best_so_far(self):
        model = ScriptedLM(instruction_landscape)

        program = compiled(model=model, valset=LARGE, budget=Budget(calls=250))

        assert asked(model) <= 250
        assert "250 of 250 calls" in program.trials.stopped
        assert program.dump_state() == program.trials.best.program.dump_state()

    @pytest.mark.parametrize(
        "text",
        ["", "Given `text`, produce `label`.", "Write the instruction itself, in plain words, and nothing else."],
    )
    def test_an_lm_that_cannot_write_instructions_is_warned_of_and_demos_are_searched(self, text, caplog):
        def answer(request):
            is_instruction = "[[ ## instruction ## ]]" in request.messages[0].text
            return {"instruction": text} if is_instruction else instruction_landscape(request)

        program = compiled(model=ScriptedLM(answer))

        assert program.trials.best.score > program.trials[0].score
        assert caplog.text.count("could not be used") == 1

    def test_replies_that_cannot_be_read_leave_the_instructions(self, caplog):
        def answer(request):
            text = request.messages[0].text
            is_proposal = "[[ ## instruction ## ]]" in text or "[[ ## description ## ]]" in text
            return "?" if is_proposal else instruction_landscape(request)

        program = compiled(model=ScriptedLM(answer))

        assert program.signature.instructions == "Given `text`, produce `label`."
        assert program.trials.best.score > program.trials[0].score
        assert "could not be used" in caplog.text

    def test_a_metric_that_raises_on_every_example_is_one_error(self):
        def broken(*_):
            raise ValueError("no label")

        with pytest.raises((OptimizationError, ValueError), match="no label"):
            compiled(by=MIPROv2(broken))

    def test_a_teacher_with_other_predictors_is_refused(self):
        model = ScriptedLM(instruction_landscape)

        with pytest.raises(OptimizationError, match="the teacher must have the student's predictors"):
            compiled(model=model, teacher=Predict("text -> other"))

        assert not model.history

    def test_no_lm_is_said(self):
        with pytest.raises((LMNotConfiguredError, OptimizationError), match="no LM is set"):
            MIPROv2(CORRECT).compile(Predict("text -> label"), trainset=TRAIN, valset=VAL)


@pytest.mark.parametrize("kept", [1, 40, 150])
def test_a_compile_goes_on_from_a_cut_journal_without_a_repeated_call(tmp_path, kept):
    path, first = tmp_path / "journal.jsonl", ScriptedLM(instruction_landscape)
    whole = compiled(model=first, journal=path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: kept + 1]) + lines[kept + 1][:20])  # a kill may leave half a line
    answers = sum('"response":' in line for line in lines[: kept + 1])

    second = ScriptedLM(instruction_landscape)
    again = compiled(model=second, journal=path)

    assert asked(second) == asked(first) - answers
    assert again.dump_state() == whole.dump_state()


class TestProposers:
    def test_of_the_user_replace_the_default_one(self):
        class Fixed:
            def instructions(self, run, path, count, demos=()):
                return ["Rule 6."]

            def calls(self, student, trainset, count):
                return 0

        model = ScriptedLM(instruction_landscape)
        optimizer = MIPRO(CORRECT, proposers=[Fixed()], max_bootstrapped_demos=0, max_labeled_demos=0)

        program = compiled(model=model, by=optimizer)

        assert program.signature.instructions == "Rule 6."
        assert not any("[[ ## instruction ## ]]" in str(entry.request) for entry in model.history)

    def test_have_the_prompt_model_and_programs_the_task_model(self):
        prompts, tasks = ScriptedLM(instruction_landscape), ScriptedLM(instruction_landscape)

        compiled(by=MIPROv2(CORRECT, prompts, tasks), model=ScriptedLM([]))

        assert all("[[ ## label ## ]]" in entry.request.messages[0].text for entry in tasks.history)
        assert prompts.history
        assert not any("[[ ## label ## ]]" in entry.request.messages[0].text for entry in prompts.history)

    def test_show_the_source_the_data_and_examples_and_ask_each_time_anew(self):
        model = ScriptedLM(instruction_landscape)

        compiled(model=model, student=TwoSteps())

        asked = [entry.request for entry in model.history if "[[ ## instruction ## ]]" in str(entry.request)]
        assert len({request.rollout_id for request in asked}) == len(asked) == 2 * 2
        shown = asked[0].messages[-1].text
        assert "def forward(self, text):" in shown
        assert "first = Predict: text -> note" in shown
        assert "texts with numbers" in shown
        assert "text: text " in shown
        assert all(request.config["temperature"] == 1.0 for request in asked)

    def test_show_less_if_asked_to(self):
        model = ScriptedLM(instruction_landscape)

        compiled(
            model=model,
            program_aware_proposer=False,
            data_aware_proposer=False,
            tip_aware_proposer=False,
            fewshot_aware_proposer=False,
        )

        shown = [entry.request for entry in model.history if "[[ ## instruction ## ]]" in str(entry.request)]
        assert all(
            re.findall(r"\[\[ ## (\w+) ## \]\]", request.messages[-1].text)[:2] == ["step", "current_instruction"]
            for request in shown
        )

    def test_show_no_credentials_of_the_source(self):
        class Leaky(TwoSteps):
            key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"

        model = ScriptedLM(instruction_landscape)

        compiled(model=model, student=Leaky())

        assert not any("abcdefghijklmnop" in str(entry.request) for entry in model.history)

    def test_write_nothing_where_nothing_is_wanted(self):
        assert GroundedProposer().instructions(None, "self", 0) == []


def test_parts_leave_a_program_as_it_is_by_default(caplog):
    caplog.set_level(logging.INFO)
    student = Predict("text -> label")
    parts = Parts(student, {"self": ["other"]}, [{"self": [TRAIN[0]]}])

    assert parts.make({}).dump_state() == student.dump_state()
    assert parts.sizes == {"self: instruction": 2, "self: demos": 2}
    assert parts.make({"self: instruction": 1}).signature.instructions == "other"
