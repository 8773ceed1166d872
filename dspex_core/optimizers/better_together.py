"""BetterTogether: optimizers one after the other. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.optimizers.checks import is_refusal
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.finetune.optimizer import BootstrapFinetune
from dspex_core.optimizers.fingerprint import default_data, optimizer_data
from dspex_core.optimizers.random_search import BootstrapFewShotWithRandomSearch
from dspex_core.plain.display import error_text, value_text
from dspex_core.programs.adopting import adopted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.evaluation.run import Metric
    from dspex_core.optimizers.demos import Student
    from dspex_core.optimizers.run import Run

_log = logging.getLogger("dspex")
_ARROW = "->"
_STANDARD = frozenset({"trainset", "valset", "teacher", "seed", "budget", "journal", "margin"})


class BetterTogether(Optimizer):
    """Runs several optimizers one after the other, each on what the one before has made, and returns the best.

    The program as it is and the result of each step are scored on the valset; of equally good ones the earlier is
    returned. A step that fails ends the compile with a warning, and the best so far is returned.

    The program gets `candidate_programs` (with the `strategy` that made each) and `flag_compilation_error_occurred`.

    Source: Soylu et al. 2024, "Fine-Tuning and Prompt Optimization: Two Great Steps that Work Better Together".

    Args:
        metric: `metric(example, prediction, trace=None)`; scores the programs.
        **optimizers: The optimizers by the names that a strategy calls them. Without any: `p`, a
            `BootstrapFewShotWithRandomSearch`, and `w`, a `BootstrapFinetune`.

    Raises TypeError: One of them is not an optimizer.
    """

    _needs_metric = True

    def __init__(self, metric: Metric, **optimizers: Optimizer) -> None:
        for name, optimizer in optimizers.items():
            if not isinstance(optimizer, Optimizer):
                raise TypeError(
                    f"optimizer {name!r} must be an optimizer, such as MIPROv2(...), not {value_text(optimizer, 200)}"
                )
        self.metric = metric
        self.optimizers: Mapping[str, Optimizer] = optimizers or {
            "p": BootstrapFewShotWithRandomSearch(metric),
            "w": BootstrapFinetune(metric),
        }

    def get_params(self) -> dict[str, Any]:
        """Return the metric, and the options of each optimizer."""
        return {"metric": self.metric, **{name: optimizer_data(each, None) for name, each in self.optimizers.items()}}

    def default_params(self) -> dict[str, Any]:
        """Return the defaults of each optimizer's options, by its name."""
        return {name: default_data(each) for name, each in self.optimizers.items()}

    def _compile(
        self,
        run: Run[Student],
        *,
        strategy: str = "p -> w -> p",
        valset_ratio: float = 0.1,
        shuffle_trainset_between_steps: bool = True,
        optimizer_compile_args: Mapping[str, Mapping[str, Any]] | None = None,
        num_threads: int | None = None,
        max_errors: int | None = None,
        provide_traceback: bool | None = None,
    ) -> Student:
        """Return the best program.

        Args:
            run: The run.
            strategy: The names of the optimizers in their order, with ` -> ` between them.
            valset_ratio: Which part of the trainset is held out as the valset, where none is given. With 0 nothing is
                scored, and the program of the last step is returned.
            shuffle_trainset_between_steps: Whether each step gets the trainset in another order, drawn by the seed.
            optimizer_compile_args: Options of each optimizer's `compile` by its name; `trainset`, `valset` and
                `teacher` there replace the common ones.
            num_threads: How many examples are evaluated at once; `settings.num_threads` by default.
            max_errors: How many examples of an evaluation may fail; `settings.max_errors` by default.
            provide_traceback: DSPy's; without effect, since errors are in the log.

        Raises:
            OptimizationError: The strategy, the ratio or the options cannot be used.
        """
        steps, options = self._steps(run, strategy), self._options(run, optimizer_compile_args or {})
        self._check_teachers(run, steps, options)
        if not 0 <= valset_ratio < 1:
            raise run.failure(f"valset_ratio must be at least 0 and below 1, not {valset_ratio!r}")
        if valset_ratio or run.valset is not None:
            run.hold_out(valset_ratio)
        run.limits = replace(run.limits, num_threads=num_threads, max_errors=max_errors)
        run.total = len(steps) + 1
        chain = _Chain(run, shuffles=shuffle_trainset_between_steps)
        chain.add("", run.student.deepcopy)
        for place, name in enumerate(steps):
            done = f" {_ARROW} ".join(steps[: place + 1])
            if not chain.step(done, self.optimizers[name], options.get(name, {})):
                break
        best: Student = chain.best()
        return best

    def _steps(self, run: Run[Any], strategy: str) -> list[str]:
        steps = [name.strip() for name in strategy.split(_ARROW)] if strategy.strip() else []
        unknown = sorted(set(steps) - set(self.optimizers))
        if unknown or not steps:
            known = ", ".join(self.optimizers)
            raise run.failure(f"the strategy {strategy!r} must name optimizers, with ' -> ' between them: {known}")
        return steps

    def _options(self, run: Run[Any], given: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        for name, options in given.items():
            if name not in self.optimizers:
                known = ", ".join(self.optimizers)
                raise run.failure(f"optimizer_compile_args is for {name!r}, but the optimizers are {known}")
            unknown = sorted(set(options) - taken_by(self.optimizers[name]))
            if unknown:
                raise run.failure(f"optimizer_compile_args of {name!r}: its compile does not take {', '.join(unknown)}")
        return given

    def _check_teachers(self, run: Run[Any], steps: Sequence[str], options: Mapping[str, Mapping[str, Any]]) -> None:
        """Refuse a teacher that a step cannot use, before any step has asked an LM."""
        for name in steps:
            step, teacher = self.optimizers[name], options.get(name, {}).get("teacher", run.teacher)
            if "teacher" in taken_by(step):
                step._check_teacher(run.student, adopted(teacher), run.trainset)  # noqa: SLF001  it is that of another optimizer


class _Chain:
    """The programs so far, each made of the one before."""

    def __init__(self, run: Run[Any], *, shuffles: bool) -> None:
        self._run = run
        self._shuffles = shuffles
        self._rng = run.random("trainset")
        self._failed = False
        self._latest: Any = None

    def add(self, done: str, make: Any) -> None:
        """Make a program, and score it where there is a valset."""
        if self._run.valset is None:
            self._latest = make()
            return
        trial = self._run.trial(done or "the program as it is", make, {"strategy": done})
        self._latest = trial.program

    def step(self, done: str, optimizer: Optimizer, options: Mapping[str, Any]) -> bool:
        """Run an optimizer on the latest program; return whether it has worked."""
        run = self._run
        if self._shuffles:
            run.trainset = self._rng.sample(run.trainset, len(run.trainset))
        sets = {"trainset": run.trainset, "valset": run.valset}
        common = {**sets, "teacher": run.teacher, "seed": run.seed, "margin": run.margin}
        takes = taken_by(optimizer)
        given = {name: value for name, value in common.items() if name in takes and value is not None}
        try:
            self.add(done, partial(optimizer.compile, self._latest, **{**given, **options}))
        except Exception as error:  # another optimizer, perhaps the user's: what was found before it stays
            if is_refusal(error) or isinstance(error, ConfigurationError):
                raise
            self._failed = True
            _log.warning("the step %r failed, and the best so far is returned: %s", done, error_text(error))
        return not self._failed

    def best(self) -> Any:
        """Return the best program, or the latest where nothing was scored."""
        best = self._latest if self._run.valset is None else self._run.best
        vars(best)["flag_compilation_error_occurred"] = self._failed
        return best


def taken_by(optimizer: Optimizer) -> set[str]:
    """Return the names of what an optimizer's `compile` takes beside the program."""
    if type(optimizer).compile is Optimizer.compile:
        own = inspect.signature(optimizer._compile).parameters  # noqa: SLF001  where its options are
        names = {name for name, each in own.items() if each.kind is inspect.Parameter.KEYWORD_ONLY} | _STANDARD
        return names if optimizer.takes_teacher else names - {"teacher"}
    return set(inspect.signature(optimizer.compile).parameters) - {"student"}
