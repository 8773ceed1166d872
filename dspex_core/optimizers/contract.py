"""The contract of an optimizer: `compile` frames what a subclass writes as `_compile`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import inspect
import logging
from abc import ABC
from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import ConfigurationError, OptimizationError
from dspex_core.flow.steps import Call
from dspex_core.optimizers.checks import (
    is_refusal,
    problem_of_sets,
    problem_of_teacher,
    problem_with,
    problem_with_options,
    warn_of_shared,
)
from dspex_core.optimizers.fingerprint import Origin
from dspex_core.optimizers.journal import CompileJournal
from dspex_core.optimizers.option_kinds import wrong_kinds
from dspex_core.optimizers.plan import CompilePlan, cost_of
from dspex_core.optimizers.run import Limits, Run
from dspex_core.optimizers.trials import MARGIN
from dspex_core.programs.adopting import adopted, adopted_rows
from dspex_core.programs.base import Module
from dspex_core.spending.budget import nested
from dspex_core.telemetry.methods import arguments_of
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from os import PathLike

    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.demos import Student
    from dspex_core.spending.budget import Budget


class Optimizer(ABC):
    """Makes a program with better prompts of a program and examples.

    A subclass has `metric`, which says what is better (`None` where it asks nobody), and `_compile`. It may have
    `seed`, `num_threads` and `max_errors`. A subclass may also write `compile` itself.
    """

    metric: Metric | None
    seed: int = 0
    num_threads: int | None = None
    max_errors: int | None = None
    takes_teacher = True  # whether a teacher has a part in it
    _learns_from_predictors = False  # whether a teacher must have the student's predictors
    _needs_inputs = True  # whether examples have to name their inputs
    _needs_metric = False  # whether it scores programs
    _compile_options: type | None = None  # a dataclass of the options of `_compile`, if they are not parameters of it

    def __post_init__(self) -> None:
        """Check the options of a dataclass; a subclass with a check of its own calls this one first.

        Raises:
            ConfigurationError: An option is of another kind than the class declares.
        """
        self._check_kinds(vars(self))

    def __init_subclass__(cls, **options: Any) -> None:
        """Let a user's own `compile` emit events to callbacks; that of this class does so itself."""
        super().__init_subclass__(**options)
        if "compile" in vars(cls) and not _is_ours(cls):
            cls.compile = _with_events(cls.compile)  # type: ignore[method-assign]

    def compile(
        self,
        student: Student,
        *,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
        teacher: Module | None = None,
        seed: int | None = None,
        budget: Budget | None = None,
        journal: str | PathLike[str] | None = None,
        margin: float = MARGIN,
        **options: Any,
    ) -> Student:
        """Return a new program; student, teacher and optimizer stay as they are, also when it raises.

        Args:
            student: The program to improve. Its predictors' own demos are not kept, their LMs are.
            trainset: The examples to learn from; `with_inputs` has named their inputs.
            valset: The examples to choose between candidates by.
            teacher: The program whose traces become demos; the student by default.
            seed: Decides everything random; the optimizer's own by default.
            budget: Limits this compile, within those around it. The best program so far is returned at its end.
            journal: A file for answers and trials. A compile that was killed goes on from it.
            margin: How many standard errors a candidate must be better than the student, row by row on the valset,
                to be returned in its place, where the student is a candidate, too. 0 for the highest score, as in DSPy.
            **options: Those of this optimizer's `_compile`.

        Returns:
            The program. Its `trials` are the leaderboard of what was tried.

        Raises:
            OptimizationError: The program cannot be compiled with these examples and options.
            BudgetExceededError: The budget ended before any candidate was scored.
            ConfigurationError: The journal is of another compile, damaged, or in use.
        """
        student, teacher = adopted(student), adopted(teacher)
        trainset, valset = adopted_rows(trainset), adopted_rows(valset)
        given = {"teacher": teacher, "budget": budget, "journal": journal, "margin": margin}
        self._check(options, trainset=trainset, seed=seed, **given)
        with self.compiling(student, trainset, valset, needs_inputs=self._needs_inputs) as attributes:
            run = self._run(student, trainset, valset, teacher, self.seed if seed is None else seed)
            run.margin = margin
            attributes["result"] = program = self._framed(run, budget, journal, options)
            attributes.update(run.figures())
        return program

    async def acompile(self, student: Student, *, trainset: Sequence[Example], **given: Any) -> Student:
        """`compile` in a thread, without blocking the event loop; takes and returns the same.

        Where the task is cancelled, the thread goes on to its end: a `budget` limits what it asks.
        """
        compiled: Student = await Call(partial(self.compile, student, trainset=trainset, **given)).arun()
        return compiled

    def _compile(self, run: Run[Student]) -> Student:
        """Return the new program; a subclass writes it. Options of its own are parameters by keyword.

        It never changes `run.student` or `run.teacher`, takes random numbers from `run.random`, and scores candidates
        by `run.trial`, so that they are on the leaderboard.
        """
        raise NotImplementedError(f"{type(self).__name__} defines neither _compile nor compile")

    def plan(
        self,
        student: Module,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
    ) -> CompilePlan | None:
        """Return the most that `compile` would ask with these examples and the LM in the settings.

        `None` if this optimizer does not say how often it runs the program.

        Raises:
            OptimizationError: The student is not a program, or a set is not a list of examples.
        """
        self._check_planned(student, trainset, valset)
        plan = self.planned_runs(trainset, valset)
        if plan is None:
            return None
        return replace(plan, cost=cost_of(plan, student, trainset=trainset, others=valset or ()))

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan | None:
        """Return how often this optimizer runs a program at most; a subclass that knows writes it."""
        return None

    def _check_planned(self, student: Module, trainset: Sequence[Example], valset: Sequence[Example] | None) -> None:
        """Refuse what cannot be planned with; each `plan` calls it first."""
        reason = problem_of_sets(student, _named_sets(trainset, valset), needs_inputs=False)
        if reason is not None:
            raise self.failure(reason, trainset)

    def _run(
        self,
        student: Student,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None,
        teacher: Module | None,
        seed: int,
    ) -> Run[Student]:
        """Return the run of a `compile`, once its teacher is checked."""
        self._check_teacher(student, teacher, trainset)
        return Run(
            optimizer=type(self).__name__,
            metric=self.metric,
            student=student,
            trainset=trainset,
            valset=valset,
            teacher=teacher,
            seed=seed,
            limits=Limits(num_threads=self.num_threads, max_errors=self.max_errors),
        )

    def _framed(
        self, run: Run[Student], budget: Budget | None, journal: str | PathLike[str] | None, options: dict[str, Any]
    ) -> Student:
        """Compile in the context of the budget and of the journal."""
        with ExitStack() as stack:
            stack.enter_context(context(usage=run.usage))
            if journal is not None:
                fingerprint = run.fingerprint(self, options)
                run.journal = CompileJournal(journal, fingerprint=fingerprint, outer=current().recorder)
                stack.callback(run.journal.close)
                stack.enter_context(context(recorder=run.journal))
            if budget is not None:
                stack.enter_context(context(budget=nested(budget, current().budget)))
            program = self._within(budget, run, options)
        program.note_trials(trials := run.trials)
        said = trials.kept or trials.doubt
        if said and len(_under_way.get()) == 1:  # the steps of a compile are not its result
            _log.warning("%s: %s", run.optimizer, said)
        return program

    def _within(self, budget: Budget | None, run: Run[Student], options: dict[str, Any]) -> Student:
        """Compile, and return the best so far where the budget of this compile ends it."""
        try:
            return self._compile(run, **options)
        except Exception as error:
            if budget is None or budget.refused is None or not is_refusal(error):
                raise
            best, refused = run.best, budget.refused
            if best is None:
                raise refused from error
        run.stopped = f"{refused.spent:g} of {refused.limit:g} {refused.kind} were spent"
        _log.warning(
            "%s ended by its budget (%s) after %d trials: the best so far is returned",
            *(run.optimizer, run.stopped, len(run.trials)),
        )
        return best

    def _check(self, options: dict[str, Any], *, trainset: Sequence[Example], seed: int | None, **given: Any) -> None:
        """Refuse what cannot be used, before anybody is asked.

        Raises:
            TypeError: `_compile` does not take an option.
            ConfigurationError: The seed or an option of `_compile` is of the wrong kind.
            OptimizationError: An argument or an option of this optimizer is of the wrong kind.
        """
        self._check_options(options)
        for problem in wrong_kinds(Optimizer.compile, {"seed": seed}):
            raise ConfigurationError(f"{type(self).__name__}.compile: {problem}")
        shared = self.metric, self.num_threads, self.max_errors
        reason = problem_with(**given) or problem_with_options(*shared, needs_metric=self._needs_metric)
        if reason is not None:
            raise self.failure(reason, trainset)

    def _check_teacher(self, student: Module, teacher: Any, trainset: Sequence[Example]) -> None:
        """Refuse a teacher that cannot teach the student, before anybody is asked; warn of one without a part in it."""
        if teacher is None:
            return
        if not self.takes_teacher:
            _log.warning("%s learns from no teacher: the one that was given has no part in it", type(self).__name__)
        elif self._learns_from_predictors and (reason := problem_of_teacher(student, teacher)):
            raise self.failure(reason, trainset)

    def _check_kinds(self, options: Mapping[str, Any]) -> None:
        ours = next(kind for kind in type(self).__mro__ if _is_ours(kind))
        problems = wrong_kinds(ours, {name: value for name, value in options.items() if name not in _SHARED})
        if problems:
            raise ConfigurationError(f"{type(self).__name__}: {'; '.join(problems)}")

    def _check_options(self, options: dict[str, Any]) -> None:
        declared = inspect.signature(self._compile_options or self._compile).parameters
        taken = [name for name, each in declared.items() if each.kind is inspect.Parameter.KEYWORD_ONLY]
        unknown = sorted(options.keys() - set(taken))
        if unknown:
            known = ", ".join(["trainset", "valset", "teacher", "seed", "budget", "journal", "margin", *taken])
            raise TypeError(f"{type(self).__name__}.compile does not take {', '.join(unknown)}; it takes {known}")
        problems = wrong_kinds(self._compile_options or self._compile, options)
        if problems:
            raise ConfigurationError(f"{type(self).__name__}.compile: {'; '.join(problems)}")

    @contextmanager
    def compiling(
        self,
        student: Module,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
        *,
        needs_inputs: bool = True,
    ) -> Iterator[dict[str, Any]]:
        """Frame a `compile`: the span `optimize`, in which the program and the examples are checked first.

        Yields:
            The span's attributes; the caller adds the compiled program as `result`.

        Raises:
            OptimizationError: A set is empty, or has no inputs named where the optimizer `needs_inputs`.
        """
        inputs = {"student": student, "trainset": trainset, "valset": valset}
        with _compiling(self, inputs) as attributes:
            reason = problem_of_sets(student, _named_sets(trainset, valset), needs_inputs=needs_inputs)
            if reason is not None:
                raise self.failure(reason, trainset)
            if not student.predictors():
                _log.warning("%s has no predictor whose prompt could be optimized", type(student).__name__)
            if valset is not None and needs_inputs:
                warn_of_shared(trainset, valset)
            yield attributes

    def failure(self, reason: str, trainset: Sequence[Example]) -> OptimizationError:
        """Return the error that says why this optimizer cannot compile."""
        size = len(trainset) if isinstance(trainset, Sequence) else 0
        return OptimizationError(optimizer=type(self).__name__, reason=reason, trainset_size=size)

    def get_params(self) -> dict[str, Any]:
        """Return this optimizer's options: its public attributes."""
        return {name: value for name, value in vars(self).items() if name[0] != "_"}

    def default_params(self) -> dict[str, Any]:
        """Return the defaults of this optimizer's options, of those that have one.

        An artifact that was compiled before an option was there reads as if the option had been at its default.
        """
        if is_dataclass(self):
            options = fields(self)
            made = {each.name: each.default_factory() for each in options if each.default_factory is not MISSING}
            return {**{each.name: each.default for each in options if each.default is not MISSING}, **made}
        declared = inspect.signature(type(self)).parameters
        return {name: each.default for name, each in declared.items() if each.default is not each.empty}

    def __repr__(self) -> str:
        options = {name: value for name, value in self.get_params().items() if value is not None}
        shown = (f"{name}={_shown(value)}" for name, value in options.items())
        return f"{type(self).__name__}({', '.join(shown)})"


_log = logging.getLogger("dspex")
_SHARED = frozenset({"metric", "num_threads", "max_errors"})  # `compile` checks them

Teleprompter = Optimizer  # DSPy's older name


@contextmanager
def _compiling(optimizer: Optimizer, inputs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Open the span of a `compile`, unless it runs in one of the same optimizer: called by `super()`, for instance."""
    outer = _under_way.get()
    if any(each is optimizer for each in outer):
        yield {}
        return
    token = _under_way.set((*outer, optimizer))
    origin = None if outer else Origin.of(optimizer, inputs)
    try:
        with span("optimize", {"instance": optimizer, "inputs": inputs}) as attributes:
            yield attributes
    finally:
        _under_way.reset(token)
    if origin is not None and isinstance(attributes.get("result"), Module):
        origin.note_in(attributes["result"])


_under_way: ContextVar[tuple[Optimizer, ...]] = ContextVar("dspex_compiling", default=())


def _named_sets(trainset: Any, valset: Any) -> dict[str, Any]:
    return {"trainset": trainset} if valset is None else {"trainset": trainset, "valset": valset}


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == __name__.partition(".")[0]


def _with_events(compile_: Callable[..., Any]) -> Callable[..., Any]:
    """Return a `compile` that emits events to callbacks."""

    @functools.wraps(compile_)
    def compile_in_span(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        with _compiling(self, arguments_of(compile_, self, args, kwargs)) as attributes:
            attributes["result"] = result = compile_(self, *args, **kwargs)
        return result

    return compile_in_span


def _shown(value: Any) -> str:
    return value.__name__ if inspect.isfunction(value) else repr(value)
