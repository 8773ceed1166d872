"""Demos from what a teacher does right. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import itertools
import logging
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any, NoReturn

from dspex_core.config import current
from dspex_core.errors import BudgetExceededError
from dspex_core.flow.steps import Call
from dspex_core.metrics.score import as_score, metric_name
from dspex_core.optimizers.checks import problem_of_teacher
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demos import Student, drawn, labeled_demos, seeded, without_demos
from dspex_core.optimizers.plan import CompilePlan
from dspex_core.optimizers.teacher import Teacher
from dspex_core.plain.display import error_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.config.contracts import Trace
    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example, Prediction
    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.teacher import Show
    from dspex_core.programs.base import Module

_log = logging.getLogger("dspex")


@dataclass(frozen=True, repr=False)
class BootstrapFewShot(Optimizer):
    """Gives predictors the demos that a teacher makes when it solves training examples.

    The teacher runs on one example after the other, without a demo of that very example. Where
    the metric accepts its prediction, what each predictor was given and answered is a demo, so
    that steps for which there are no labels get demos too. The rest is filled up with labeled
    examples.

    Source: Khattab et al. 2023, "DSPy: Compiling Declarative Language Model Calls into
    Self-Improving Pipelines".

    Args:
        metric: `metric(example, prediction, trace)`, with the `(predictor, inputs, prediction)`
            of each step as the trace; a true result accepts. Without one, all are accepted.
        metric_threshold: The score from which on a prediction is accepted.
        teacher_settings: Settings under which the teacher runs; an `lm` here is the teacher's LM.
        max_bootstrapped_demos: How many examples to bootstrap; the first accepted ones are taken.
        max_labeled_demos: How many demos a predictor gets in all, if labels are needed to fill
            up; and how many labeled ones a teacher gets that has no demos.
        max_rounds: How often to try an example. From the second time on with temperature 1 and
            a rollout of its own, so that no cache answers.
        max_errors: How many tries may raise; `settings.max_errors` by default.
        seed: Decides which labeled examples are taken.
    """

    _learns_from_predictors = True

    metric: Metric | None = None
    metric_threshold: float | None = None
    teacher_settings: Mapping[str, Any] | None = None
    max_bootstrapped_demos: int = 4
    max_labeled_demos: int = 16
    max_rounds: int = 1
    max_errors: int | None = None
    _: KW_ONLY
    seed: int = 0

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return how often it runs a program at most."""
        runs = len(trainset) * self.max_rounds if self.max_bootstrapped_demos else 0
        return CompilePlan(runs, demos=max(self.max_bootstrapped_demos, self.max_labeled_demos))

    def _compile(self, run: Run[Student]) -> Student:
        """Return the student with bootstrapped and labeled demos; the valset has no part in it.

        Raises:
            OptimizationError: The teacher has other predictors, or too many tries raised.
        """
        found = self.bootstrap(run.student, run.trainset, teacher=run.teacher, seed=run.seed)
        return self.filled_up(run.student, run.trainset, found, seed=run.seed)

    def filled_up(
        self, student: Student, trainset: Sequence[Example], found: Mapping[int, Mapping[str, Demo]], *, seed: int
    ) -> Student:
        """Return the student with the demos that were `found`, and labeled ones of the other examples."""
        rest = [example for index, example in enumerate(trainset) if index not in found]
        program, rng = without_demos(student), seeded(seed)
        for path, predictor in program.named_predictors():
            demos = [steps[path] for steps in found.values() if path in steps]
            labeled = labeled_demos(predictor.signature, rest)
            predictor.demos = demos + drawn(labeled, self.max_labeled_demos - len(demos), rng)
        program._compiled = True  # noqa: SLF001  as DSPy marks it
        return program

    def bootstrap(
        self,
        student: Module,
        trainset: Sequence[Example],
        *,
        teacher: Module | None = None,
        seed: int | None = None,
        show: Show | None = None,
    ) -> dict[int, dict[str, Demo]]:
        """Run the teacher until enough examples are accepted.

        Args:
            student: The program that gets the demos.
            trainset: The examples.
            teacher: The program that runs; the student by default.
            seed: That of the labeled demos of a teacher without any; the optimizer's own by default.
            show: Solves an example instead of the teacher; see `shows`.

        Returns:
            For the index of each accepted example: a demo for the path of each predictor that ran.

        Raises:
            OptimizationError: All tries raised.
            BudgetExceededError: The budget has no room for another call.
            Exception: More than `max_errors` tries raised: the first of their errors, which has an
                `OptimizationError` that says how many as its cause.
        """
        show = show or self.shows(student, trainset, teacher=teacher, seed=self.seed if seed is None else seed)
        return self._collect(show, trainset)

    def _collect(self, show: Show, trainset: Sequence[Example]) -> dict[int, dict[str, Demo]]:
        limit = current().max_errors if self.max_errors is None else self.max_errors
        found: dict[int, dict[str, Demo]] = {}
        errors: list[Exception] = []
        tries = 0
        for (index, example), number in itertools.product(enumerate(trainset), range(self.max_rounds)):
            if len(found) >= self.max_bootstrapped_demos or len(errors) > limit:
                break
            if index in found:
                continue
            tries += 1
            try:
                demos = show(example, number)
                found.update({} if demos is None else {index: demos})
            except BudgetExceededError:
                raise
            except Exception as error:  # noqa: BLE001  one example's failure is counted, and does not end the compile
                _log.warning("no demo from %r: %s", example, error_text(error))
                errors.append(error)
        if errors and len(errors) >= min(tries, limit + 1):
            self._fail(errors, trainset, tries=tries, limit=limit)
        _log.info("%r: %d of %d tries gave demos", self, len(found), tries)
        return found

    def shows(self, student: Module, trainset: Sequence[Example], *, teacher: Module | None, seed: int) -> Show:
        """Return the function that lets the teacher solve an example, for the n-th time.

        It returns a demo for the path of each predictor that ran, and `None` where the metric does not accept it.
        """
        able = self._teacher(student, trainset, teacher, seed)

        def show(example: Example, number: int) -> dict[str, Demo] | None:
            prediction, trace = able.run(example, number)
            return able.demos(trace) if self._accepts(example, prediction, trace) else None

        return show

    def _fail(self, errors: Sequence[Exception], trainset: Sequence[Example], *, tries: int, limit: int) -> NoReturn:
        first = f"{type(errors[0]).__name__}: {errors[0]}"
        failure = self.failure(
            f"{len(errors)} of {tries} tries raised (max_errors={limit}); the first: {first}", trainset
        )
        if len(errors) > limit:  # as in DSPy, a caller may catch what the program raises
            raise errors[0] from failure
        raise failure from errors[0]

    def _teacher(self, student: Module, trainset: Sequence[Example], teacher: Module | None, seed: int) -> Teacher:
        program = (teacher or student).deepcopy()
        if reason := problem_of_teacher(student, program):
            raise self.failure(reason, trainset)
        rng = seeded(seed)
        if not any(predictor.demos for predictor in program.predictors()):
            for predictor in program.predictors():
                predictor.demos = drawn(labeled_demos(predictor.signature, trainset), self.max_labeled_demos, rng)
        return Teacher(program, self.teacher_settings or {}, rng)

    def _accepts(self, example: Example, prediction: Prediction, trace: Trace) -> bool:
        if self.metric is None:
            return True
        score = as_score(Call(self.metric, (example, prediction, trace)).run(), metric_name(self.metric))
        return bool(score) if self.metric_threshold is None else score.value >= self.metric_threshold


def bootstrap_of(optimizer: Optimizer, **options: Any) -> BootstrapFewShot:
    """Return the bootstrap that is a part of an optimizer: with its options of the same names; `options` go first."""
    names = {each.name for each in fields(BootstrapFewShot)}
    shared = {name: value for name, value in vars(optimizer).items() if name in names}
    return BootstrapFewShot(**{**shared, **options})
