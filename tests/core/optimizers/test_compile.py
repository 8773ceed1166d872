"""What every `compile` has: a budget, a journal, a leaderboard, checks before paid calls."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dspex_core import (
    LM,
    Budget,
    BudgetExceededError,
    Compiler,
    ConfigurationError,
    OptimizationError,
    Signature,
    StaleArtifactError,
    context,
)
from dspex_core.example import Example
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.fields import exact_match
from dspex_core.optimizers import (
    COPRO,
    SIMBA,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    InferRules,
    KNNFewShot,
    LabeledFewShot,
)
from dspex_core.optimizers.better_together import BetterTogether
from dspex_core.optimizers.bootstrap_optuna import BootstrapFewShotWithOptuna
from dspex_core.optimizers.mipro import MIPROv2
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.predict import Predict

CORRECT = exact_match("label")
ROWS = [Example(text=f"text {number}", label=f"label {number % 3}").with_inputs("text") for number in range(20)]
TRAIN, VAL = ROWS[:10], ROWS[10:]


def answer(request):
    """Right only for some texts, and for more with more demos."""
    number = int(re.findall(r"text (\d+)", request.messages[-1].text)[-1])
    shown = sum(message.role == "user" for message in request.messages) - 1
    return {"label": f"label {number % 3}" if number % 5 <= shown else "wrong"}


def lm():
    return ScriptedLM(answer)


def asked(model):
    """How many calls the LM itself has answered."""
    return sum(not entry.response.cached for entry in model.history)


def optimizer(**options):
    return BootstrapFewShotWithRandomSearch(CORRECT, **{"num_candidate_programs": 4, "max_labeled_demos": 3, **options})


def compiled(*, model=None, by=None, **given):
    with context(lm=model or lm()):
        return (by or optimizer()).compile(Predict("text -> label"), trainset=TRAIN, valset=VAL, **given)


class TestTheLeaderboard:
    def test_has_each_trial_with_its_scores_and_its_cost(self):
        model = lm()

        trials = compiled(model=model, by=optimizer(racing=False)).trials

        assert [trial.name for trial in trials][:3] == ["no demos", "labeled demos", "bootstrapped in order"]
        assert all(trial.is_full and trial.n == len(VAL) for trial in trials)
        assert sum(trial.spent.calls for trial in trials) == trials.spent.calls == len(model.history)
        assert trials.best.score == max(trial.score for trial in trials)

    def test_says_how_much_the_best_score_owes_to_the_choice(self):
        trials = compiled().trials

        assert trials.selected.score == trials.best.score
        assert trials.selected.corrected <= trials.best.score
        assert f"the best of {len(trials)} scores" in trials.to_table()

    def test_lists_candidates_as_dspy_does(self):
        program = compiled()

        scores = [candidate["score"] for candidate in program.candidate_programs]

        assert scores == sorted(scores, reverse=True)
        assert program.candidate_programs[0]["program"].demos == program.demos

    def test_is_not_part_of_the_program(self):
        program = compiled()

        assert len(program.named_predictors()) == 1
        assert program.deepcopy().trials is program.trials
        with pytest.raises(AttributeError, match="no optimizer has just compiled it"):
            _ = Predict("text -> label").trials


class TestABudget:
    @pytest.mark.parametrize("calls", [11, 25, 40, 60])
    def test_is_kept_and_the_best_so_far_is_returned(self, calls, caplog):
        model = lm()

        program = compiled(model=model, budget=Budget(calls=calls))

        assert len(model.history) <= calls
        assert f"{calls} of {calls} calls were spent" in program.trials.stopped
        assert program.demos == program.trials.best.program.demos
        assert "the best so far is returned" in caplog.text

    def test_that_ends_before_anything_was_scored_is_an_error(self):
        with pytest.raises(BudgetExceededError, match="the budget of 3 calls has no room"):
            compiled(budget=Budget(calls=3))

    def test_around_it_counts_too_and_stays_an_error(self):
        outer = Budget(calls=25)

        with context(budget=outer), pytest.raises(Exception, match="25 calls has no room"):
            compiled(budget=Budget(calls=1000))

        assert outer.spent["calls"] == 25

    def test_ends_bootstrapping_instead_of_counting_as_a_failed_example(self):
        with context(budget=Budget(calls=2)), pytest.raises(BudgetExceededError):
            compiled(by=BootstrapFewShot(CORRECT))

    def test_of_no_seconds_allows_no_call(self):
        model = lm()

        with pytest.raises(BudgetExceededError, match="seconds has no room"):
            compiled(model=model, budget=Budget(seconds=0))

        assert not model.history


class TestAJournal:
    def test_that_is_whole_asks_nothing_again_and_gives_the_same_program(self, tmp_path):
        first, second = lm(), lm()

        one = compiled(model=first, journal=tmp_path / "j.jsonl")
        other = compiled(model=second, journal=tmp_path / "j.jsonl")

        assert one.dump_state() == other.dump_state()
        assert [trial.scores for trial in one.trials] == [trial.scores for trial in other.trials]
        assert all(entry.response.cached for entry in second.history)
        assert asked(second) == 0

    @pytest.mark.parametrize("kept", [1, 2, 30, 50])
    def test_that_was_cut_short_continues_from_what_it_has(self, tmp_path, kept):
        path, first, second = tmp_path / "j.jsonl", lm(), lm()
        one = compiled(model=first, journal=path)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:kept]) + lines[kept][:10])
        found = sum(b'"call":' in line for line in lines[1:kept])

        other = compiled(model=second, journal=path)

        assert one.dump_state() == other.dump_state()
        assert asked(second) == asked(first) - found
        assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(lines)

    def test_counts_its_answers_in_the_budget_so_that_it_ends_where_it_ended_then(self, tmp_path):
        whole = compiled(budget=Budget(calls=45))
        path = tmp_path / "j.jsonl"
        compiled(budget=Budget(calls=45), journal=path)
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[: len(lines) // 2]))

        again = compiled(budget=Budget(calls=45), journal=path)

        assert again.dump_state() == whole.dump_state()
        assert len(again.trials) == len(whole.trials)

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"by": optimizer(max_labeled_demos=1)}, "optimizer"),
            ({"seed": 3}, "seed"),
            ({"restrict": [-3, 0]}, "options"),
        ],
    )
    def test_of_another_compile_is_refused_before_any_call(self, tmp_path, change, reason):
        compiled(journal=tmp_path / "j.jsonl")
        model = lm()

        with pytest.raises(ConfigurationError, match=f"of another compile, so it cannot be continued: {reason}"):
            compiled(model=model, journal=tmp_path / "j.jsonl", **change)

        assert not model.history

    def test_that_is_damaged_is_named_with_its_line(self, tmp_path):
        path = tmp_path / "j.jsonl"
        compiled(journal=path)
        lines = path.read_text().splitlines()
        path.write_text("\n".join([*lines[:3], "{]", *lines[4:]]) + "\n")

        with pytest.raises(ConfigurationError, match=r"line 4 of .* is not one of a compile journal"):
            compiled(journal=path)

    def test_warns_of_a_metric_that_changes_its_mind(self, tmp_path, caplog):
        scores = iter([1.0] * 300 + [0.0] * 5000)

        def fickle(example, prediction, trace=None):
            return next(scores)

        fickle_search = optimizer(num_candidate_programs=1)
        object.__setattr__(fickle_search, "metric", fickle)
        compiled(by=fickle_search, journal=tmp_path / "j.jsonl")
        scores = iter([0.0] * 5000)
        compiled(by=fickle_search, journal=tmp_path / "j.jsonl")

        assert "is not deterministic" in caplog.text

    def test_survives_a_kill_at_any_time(self, tmp_path):
        script = tmp_path / "run.py"
        script.write_text(
            "import os, signal, sys\n"
            f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "import test_compile as t\n"
            "die = int(sys.argv[1])\n"
            "count = 0\n"
            "def answer(request):\n"
            "    global count\n"
            "    count += 1\n"
            "    if count == die: os.kill(os.getpid(), signal.SIGKILL)\n"
            "    return t.answer(request)\n"
            "program = t.compiled(model=t.ScriptedLM(answer), journal=sys.argv[2])\n"
            "program.save(sys.argv[3])\n"
            "print(count)\n"
        )
        path, saved = tmp_path / "j.jsonl", tmp_path / "p.json"

        def run(die):
            command = [sys.executable, str(script), str(die), str(path), str(saved)]
            return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))

        assert run(33).returncode == -signal.SIGKILL
        before = sum('"call":' in line for line in path.read_text().splitlines())
        done = run(0)
        undisturbed = lm()
        compiled(model=undisturbed)

        assert before >= 20, done.stderr
        assert int(done.stdout) == asked(undisturbed) - before, done.stderr
        assert json.loads(saved.read_text())["state"] == compiled().dump_state()


class TestTheSeed:
    def test_of_a_compile_goes_before_that_of_the_optimizer(self):
        one, other, third = compiled(seed=1), compiled(by=optimizer(seed=1)), compiled(seed=2)

        names = [[trial.program.dump_state() for trial in program.trials] for program in (one, other, third)]

        assert names[0] == names[1] != names[2]

    def test_gives_the_same_program_at_any_concurrency(self):
        one, many = (compiled(by=optimizer(num_threads=threads)) for threads in (1, 8))

        assert one.dump_state() == many.dump_state()


class TestBadInput:
    @pytest.mark.parametrize(
        ("trainset", "reason"),
        [
            ([], "the trainset is empty"),
            ((row for row in TRAIN), "which can be read more than once"),
            ([Example(text="a", label="b")], "inputs of row 1 of the trainset are not known"),
            (["a"], "row 1 of the trainset is not an Example"),
        ],
    )
    def test_a_trainset_that_cannot_be_used(self, trainset, reason):
        model = lm()

        with context(lm=model), pytest.raises(OptimizationError, match=reason):
            optimizer().compile(Predict("text -> label"), trainset=trainset)

        assert not model.history

    @pytest.mark.parametrize(
        ("given", "reason"),
        [
            ({"budget": 5}, r"the budget must be a Budget, such as Budget\(calls=5\), not 5"),
            ({"journal": 3.5}, "the journal must be the path of a file, not 3.5"),
            ({"teacher": "gpt"}, "the teacher must be a program, not 'gpt'"),
            ({"student": lambda text: text}, "the student must be a program, not <function"),
            ({"student": Predict}, "the student must be a program, not <class"),
            ({"by": optimizer(num_threads="3")}, "num_threads must be a number from 1 on, not '3'"),
            ({"by": optimizer(max_errors=-1)}, "max_errors must be a number from 0 on, not -1"),
            ({"by": BootstrapFewShotWithRandomSearch(None)}, "it needs a metric to choose between programs"),
            ({"by": BootstrapFewShot("exact")}, "the metric must be a function or a program, not 'exact'"),
        ],
    )
    def test_an_argument_of_the_wrong_kind_is_named_before_any_call(self, given, reason):
        model, student = lm(), given.pop("student", Predict("text -> label"))
        chosen = given.pop("by", optimizer())

        with context(lm=model), pytest.raises(OptimizationError, match=reason):
            chosen.compile(student, trainset=TRAIN, valset=VAL, **given)

        assert not model.history

    @pytest.mark.parametrize(
        "chosen",
        [
            BootstrapFewShot(CORRECT),
            optimizer(),
            optimizer(racing=False),
            BootstrapFewShotWithOptuna(CORRECT, num_candidate_programs=2),
            KNNFewShot(2, metric=CORRECT),
            InferRules(metric=CORRECT),
            MIPROv2(CORRECT, auto=None, num_candidates=2),
            BetterTogether(CORRECT, p=COPRO(metric=CORRECT), w=BootstrapFewShot(CORRECT)),
        ],
        ids=lambda chosen: type(chosen).__name__,
    )
    def test_a_teacher_with_other_predictors_is_refused_before_any_call(self, chosen):
        model = lm()

        with (
            context(lm=model),
            pytest.raises(OptimizationError, match="the teacher must have the student's predictors"),
        ):
            chosen.compile(
                Predict("text -> label"), trainset=TRAIN, valset=VAL, teacher=ChainOfThought("text -> label")
            )

        assert not model.history

    def test_a_teacher_of_a_step_that_is_no_program_is_refused_before_any_call(self):
        model, steps = lm(), BetterTogether(CORRECT, p=BootstrapFewShot(CORRECT))

        with pytest.raises(OptimizationError, match="the teacher must be a program, not 'gpt'"):
            compiled(model=model, by=steps, strategy="p", optimizer_compile_args={"p": {"teacher": "gpt"}})

        assert not model.history

    @pytest.mark.parametrize(
        "chosen",
        [
            LabeledFewShot(2),
            KNNFewShot(2),
            COPRO(metric=CORRECT, breadth=2, depth=1),
            SIMBA(metric=CORRECT, bsize=4, num_candidates=2, max_steps=1),
        ],
        ids=lambda chosen: type(chosen).__name__,
    )
    def test_a_teacher_from_whom_nothing_is_learned_is_named_in_a_warning(self, chosen, caplog):
        compiled(model=ScriptedLM(lambda _: {"label": "x"}), by=chosen, teacher=Predict("text -> label"))

        assert f"{type(chosen).__name__} learns from no teacher" in caplog.text

    def test_rows_in_both_sets_are_named_in_a_warning(self, caplog):
        with context(lm=lm()):
            optimizer().compile(Predict("text -> label"), trainset=TRAIN, valset=[*VAL, *TRAIN[:3]])

        assert "3 of the 13 examples of the valset are in the trainset" in caplog.text

    def test_a_metric_that_raises_on_every_example(self):
        def broken(example, prediction, trace=None):
            raise ZeroDivisionError("no numbers")

        search = BootstrapFewShotWithRandomSearch(broken, max_errors=1000)
        with pytest.raises(OptimizationError, match=r"the metric raised on each of 10 examples; the first.*no numb"):
            compiled(by=search)

    def test_an_option_that_the_optimizer_does_not_take(self):
        with pytest.raises(TypeError, match=r"LabeledFewShot.compile does not take restrict; it takes .*sample"):
            compiled(by=LabeledFewShot(), restrict=[1])


def test_a_compile_in_an_event_loop_does_not_block_it():
    async def both():
        ticks = 0
        task = asyncio.ensure_future(acompiled())
        while not task.done():
            await asyncio.sleep(0)
            ticks += 1
        return await task, ticks

    async def acompiled():
        with context(lm=lm()):
            return await optimizer().acompile(Predict("text -> label"), trainset=TRAIN, valset=VAL)

    program, ticks = asyncio.run(both())

    assert program.dump_state() == compiled().dump_state()
    assert ticks > 1


class TestThePlan:
    def test_is_at_least_what_the_compile_asks(self):
        model, student = lm(), Predict("text -> label")

        with context(lm=model):
            plan = optimizer().plan(student, TRAIN, VAL)
        compiled(model=model)

        assert plan.calls >= len(model.history)
        assert plan.tokens >= sum(entry.response.usage.total_tokens for entry in model.history)
        assert str(plan).startswith(f"at most {plan.calls} LM calls, {plan.tokens} tokens, ")

    def test_knows_the_usual_size_of_calls_that_were_made(self):
        model, student = lm(), Predict("text -> label")
        with context(lm=model):
            student(text="text 1")
            plan = optimizer().plan(student, TRAIN, VAL)

        assert plan.cost.usual == plan.calls * model.history[0].response.usage.total_tokens

    def test_has_list_prices(self):
        with context(lm=LM("openai/gpt-4o-mini", api_key="k", api_base="http://127.0.0.1:9")):
            plan = optimizer().plan(Predict("text -> label"), TRAIN, VAL)

        assert 0 < plan.dollars < 1

    def test_needs_no_lm(self):
        plan = optimizer().plan(Predict("text -> label"), TRAIN, VAL)

        assert (plan.calls > 0, plan.dollars) == (True, None)


def test_events_say_what_was_used_and_what_it_brought():
    seen = []
    with context(listeners=[seen.append]):
        trials = compiled().trials

    last = seen[-1]

    assert last.name == "dspex.optimize.stop"
    assert last.attributes["examples_used"] == 20
    assert last.attributes["score_improvement"] == trials.best.score - trials[0].score > 0


class TestCompiler:
    def test_goes_from_files_to_an_artifact_and_back(self, tmp_path):
        train, artifact = tmp_path / "train.jsonl", tmp_path / "artifacts" / "label.json"
        train.write_text("".join(json.dumps(dict(row)) + "\n" for row in TRAIN))
        compiler = Compiler(metric=CORRECT, num_candidate_programs=1)
        student = Predict("text -> label")

        with context(lm=lm()):
            program = compiler.compile(
                student, BootstrapFewShotWithRandomSearch, trainset=train, valset=VAL, save_to=artifact, seed=1
            )
        loaded = compiler.load(artifact, student)

        assert loaded.dump_state() == program.dump_state() != student.dump_state()

    def test_takes_an_optimizer_that_is_made(self):
        with context(lm=lm()):
            program = Compiler().compile(Predict("text -> label"), LabeledFewShot(k=2), trainset=TRAIN, sample=False)

        assert [demo["text"] for demo in program.demos] == ["text 0", "text 1"]

    def test_writes_nothing_if_the_compile_fails(self, tmp_path):
        with pytest.raises(OptimizationError), context(lm=lm()):
            Compiler().compile(
                Predict("text -> label"), LabeledFewShot, k=0, trainset=TRAIN, save_to=tmp_path / "a.json"
            )

        assert not list(tmp_path.iterdir())

    def test_names_an_option_that_the_optimizer_does_not_have(self):
        with pytest.raises(ConfigurationError, match="LabeledFewShot cannot be made with kk: "):
            Compiler().compile(Predict("text -> label"), LabeledFewShot, kk=0, trainset=TRAIN)

    def test_refuses_a_program_whose_source_has_changed(self, tmp_path):
        with context(lm=lm()):
            Compiler().compile(Predict("text -> label"), LabeledFewShot, trainset=TRAIN, save_to=tmp_path / "a.json")

        with pytest.raises(StaleArtifactError):
            Compiler().load(tmp_path / "a.json", Predict(Signature("text -> label", "Say it.")))
