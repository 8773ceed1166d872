"""Optimizers one after the other, the best of which is returned."""

import pytest
from test_gepa import TRAIN, VAL, Pipeline, answer, metric

from dspex_core import Budget, OptimizationError, context
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.optimizers import LabeledFewShot, Optimizer
from dspex_core.optimizers.better_together import BetterTogether
from dspex_core.optimizers.gepa.optimizer import GEPA


class Broken(Optimizer):
    """A user's optimizer that fails."""

    metric = None

    def compile(self, student, *, trainset):
        raise LookupError("no idea")


class Noting(Optimizer):
    """A user's optimizer that notes what it is given."""

    metric = None

    def __init__(self):
        self.seen = []

    def compile(self, student, *, trainset, valset=None, strength=1):
        self.seen.append((list(trainset), valset, strength))
        return student.deepcopy()


def compiled(strategy, *, model=None, valset=VAL, given=None, **optimizers):
    optimizers = optimizers or {"g": GEPA(metric, max_metric_calls=60), "d": LabeledFewShot(k=2)}
    with context(lm=model or ScriptedLM(answer)):
        return BetterTogether(metric, **optimizers).compile(
            Pipeline(), trainset=TRAIN, valset=valset, strategy=strategy, **(given or {})
        )


def test_each_step_goes_on_from_the_one_before_and_the_best_is_returned():
    program = compiled("g -> d -> g")

    assert [trial.name for trial in program.trials] == ["the program as it is", "g", "g -> d", "g -> d -> g"]
    assert program.dump_state() == program.trials.best.program.dump_state()
    assert program.trials[2].program.second.demos
    assert program.trials[3].program.second.demos == program.trials[2].program.second.demos
    assert {each["strategy"] for each in program.candidate_programs} == {"", "g", "g -> d", "g -> d -> g"}
    assert not program.flag_compilation_error_occurred


def test_is_decided_by_its_seed():
    assert compiled("g -> d").dump_state() == compiled("g -> d").dump_state()


def test_steps_get_the_trainset_in_another_order_and_their_own_options():
    noting = Noting()

    compiled("n -> n", n=noting, given={"optimizer_compile_args": {"n": {"strength": 3}}})
    compiled("n", n=noting, given={"shuffle_trainset_between_steps": False})

    (first, valset, strength), (second, _, _), (plain, _, _) = noting.seen
    assert strength == 3
    assert valset == VAL
    assert first != TRAIN
    assert first != second
    assert sorted(map(repr, first)) == sorted(map(repr, second)) == sorted(map(repr, TRAIN))
    assert plain == TRAIN


def test_a_step_that_fails_leaves_the_best_so_far(caplog):
    program = compiled("g -> b -> g", g=GEPA(metric, max_metric_calls=60), b=Broken())

    assert [trial.name for trial in program.trials] == ["the program as it is", "g"]
    assert program.flag_compilation_error_occurred
    assert "LookupError: no idea" in caplog.text


def test_without_validation_the_latest_is_returned():
    program = compiled("d", valset=None, given={"valset_ratio": 0})

    assert program.second.demos
    assert not program.trials


@pytest.mark.parametrize("part", [0.2, 0.7])
def test_goes_on_from_its_journal(tmp_path, part):
    path, first, second = tmp_path / "journal", ScriptedLM(answer), ScriptedLM(answer)
    whole = compiled("g -> d", model=first, given={"journal": path})
    lines = path.read_bytes().splitlines(keepends=True)
    kept = lines[: int(part * len(lines))]
    path.write_bytes(b"".join(kept))

    resumed = compiled("g -> d", model=second, given={"journal": path})

    asked = sum(not entry.response.cached for entry in second.history)
    assert resumed.dump_state() == whole.dump_state()
    assert asked == len(first.history) - sum(b'"call":' in line for line in kept)


def test_a_budget_returns_the_best_so_far():
    program = compiled("g -> d", given={"budget": Budget(calls=50)})

    assert [trial.name for trial in program.trials] == ["the program as it is"]
    assert "50 of 50 calls" in program.trials.stopped


@pytest.mark.parametrize(
    ("strategy", "given", "message"),
    [
        ("g -> x", {}, "the strategy 'g -> x' must name optimizers, with ' -> ' between them: g, d"),
        (" ", {}, "must name optimizers"),
        ("g", {"valset_ratio": 1.5}, "valset_ratio must be at least 0 and below 1, not 1.5"),
        ("g", {"optimizer_compile_args": {"x": {}}}, "optimizer_compile_args is for 'x'"),
        ("g", {"optimizer_compile_args": {"g": {"student": 1}}}, "its compile does not take student"),
    ],
)
def test_what_it_refuses_before_any_call(strategy, given, message):
    model = ScriptedLM(answer)

    with pytest.raises(OptimizationError, match=message):
        compiled(strategy, model=model, given=given)

    assert not model.history


def test_takes_optimizers_only():
    with pytest.raises(TypeError, match="optimizer 'p' must be an optimizer"):
        BetterTogether(metric, p=len)
