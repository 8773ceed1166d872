"""Demos of each predictor, chosen by Optuna: on landscapes where only some of them help."""

import re
import sys

import pytest

from dspex_core import Budget, ConfigurationError, OptimizationError, context
from dspex_core.dspy_paths.teleprompt import BootstrapFewShotWithOptuna
from dspex_core.example import Example
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.metrics.fields import exact_match
from dspex_core.optimizers.search.tpe import TPE
from dspex_core.programs.base import Module
from dspex_core.programs.predict import Predict

CORRECT = exact_match("label")
ROWS = [Example(text=f"text {number}", label=f"label {number % 3}").with_inputs("text") for number in range(20)]
TRAIN, VAL = ROWS[:10], ROWS[10:]


class Pipeline(Module):
    """Two steps, of which the examples have labels for the second only."""

    def __init__(self):
        self.first = Predict("text -> note")
        self.second = Predict("text, note -> label")

    def forward(self, text):
        return self.second(text=text, note=self.first(text=text).note)


def answer(request):
    """Right for more texts the more demos the second step has; the first step is harmed by demos."""
    shown = sum(message.role == "user" for message in request.messages) - 1
    number = int(re.findall(r"text (\d+)", request.messages[-1].text)[0])
    if "[[ ## label ## ]]" not in request.messages[0].text:
        return {"note": f"note of {shown}"}
    harm = int(re.findall(r"note of (\d+)|$", request.messages[-1].text)[0] or 0)
    return {"label": f"label {number % 3}" if number % 6 < 2 + shown - harm else "wrong"}


def optimizer(**options):
    return BootstrapFewShotWithOptuna(
        CORRECT, **{"max_bootstrapped_demos": 3, "max_labeled_demos": 2, "num_candidate_programs": 14, **options}
    )


def compiled(*, model=None, by=None, student=None, teacher=None, threads=8, **given):
    with context(lm=model or ScriptedLM(answer), num_threads=threads):
        return (by or optimizer()).compile(student or Pipeline(), trainset=TRAIN, valset=VAL, teacher=teacher, **given)


def test_gives_demos_to_the_predictor_that_gains_by_them():
    program = compiled()

    without = program.trials[0]
    alike = max(trial.score for trial in program.trials if len(set(trial.choices.values())) == 1)
    assert without.name == "no demos"
    assert program.trials.best.score > alike > without.score
    assert len(program.second.demos) > len(program.first.demos)


def test_tries_each_combination_once():
    trials = compiled(by=optimizer(num_candidate_programs=1000), student=Predict("text -> label")).trials

    assert [trial.name for trial in trials][:3] == ["no demos", "bootstrapped in order", "labeled demos"]
    assert len(trials) == len({trial.choices["self"] for trial in trials}) == 10


@pytest.mark.parametrize("threads", [1, 8])
def test_is_decided_by_its_seed(threads):
    one, other = compiled(threads=threads), compiled()

    assert one.dump_state() == other.dump_state()
    assert [trial.name for trial in one.trials] == [trial.name for trial in other.trials]
    assert [trial.name for trial in compiled(seed=1).trials] != [trial.name for trial in one.trials]


def test_changes_neither_student_nor_teacher():
    student, teacher = Pipeline(), Pipeline()
    teacher.second.demos = [{"text": "t", "note": "note of 0", "label": "l"}]
    before = student.dump_state(), teacher.dump_state()

    compiled(student=student, teacher=teacher)

    assert (student.dump_state(), teacher.dump_state()) == before


@pytest.mark.parametrize("kept", [2, 25, 120])
def test_goes_on_from_its_journal(tmp_path, kept):
    path, first, second = tmp_path / "journal", ScriptedLM(answer), ScriptedLM(answer)
    whole = compiled(model=first, journal=path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept]))
    finished = sum(b'"call":' in line for line in lines[:kept])

    resumed = compiled(model=second, journal=path)

    assert resumed.dump_state() == whole.dump_state()
    assert sum(not entry.response.cached for entry in second.history) == len(first.history) - finished


def test_returns_the_best_so_far_where_its_budget_ends_in_the_bootstrap():
    program = compiled(budget=Budget(calls=2 * len(VAL) + 3))

    assert [trial.name for trial in program.trials] == ["no demos"]
    assert "calls were spent" in program.trials.stopped


def test_bootstraps_as_many_examples_as_it_is_asked_for():
    by = optimizer(max_labeled_demos=0)

    for size, texts in ((1, {"text 0"}), (3, {"text 0", "text 1", "text 6"})):
        trials = compiled(by=by, max_demos=size, student=Predict("text -> label")).trials
        assert {demo["text"] for trial in trials for demo in trial.program.demos} == texts


def test_without_optuna_is_one_clear_error_before_any_call(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    model = ScriptedLM(answer)

    with pytest.raises(ConfigurationError, match=r"pip install 'pytest-dspex\[optimize\]'"):
        compiled(model=model)

    assert not model.history


def test_of_no_candidate_is_an_error():
    with pytest.raises(OptimizationError, match="num_candidate_programs=0"):
        compiled(by=optimizer(num_candidate_programs=0))


def test_writes_nothing_to_the_terminal(capfd):
    compiled(by=optimizer(num_candidate_programs=2))

    assert capfd.readouterr() == ("", "")


class TestTheEstimator:
    def scored(self, choices):
        return -abs(choices["a"] - 2) - abs(choices["b"] - 3)

    def asked(self, seed, count, *, size=4):
        tpe, found = TPE({"a": size, "b": size}, seed=seed, startup=4), []
        while len(found) < count and (choices := tpe.ask()) is not None:
            tpe.tell(choices, self.scored(choices))
            found.append(choices)
        return found

    def test_proposes_every_combination_once_and_ends(self):
        found = self.asked(0, 1000, size=2)

        assert len(found) == len({tuple(each.items()) for each in found}) == 4

    def test_is_decided_by_its_seed(self):
        assert self.asked(3, 7) == self.asked(3, 7) != self.asked(4, 7)

    def test_learns_where_the_scores_are_high(self):
        found = [[self.scored(choices) for choices in self.asked(seed, 16, size=10)] for seed in range(4)]

        early, late = (sum(map(sum, (each[part] for each in found))) for part in (slice(4), slice(12, 16)))
        assert late > early

    def test_may_propose_what_is_known(self):
        tpe = TPE({"a": 1}, seed=0)
        tpe.tell({"a": 0}, 1.0)

        assert tpe.ask() is None
        assert tpe.ask(again=True) == {"a": 0}
