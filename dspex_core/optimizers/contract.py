"""The contract of an optimizer: one method, `compile`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import inspect
import logging
from abc import ABC, abstractmethod
from collections.abc import Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core.datasets.checks import problem_of
from dspex_core.errors import OptimizationError
from dspex_core.optimizers.fingerprint import Origin
from dspex_core.programs.base import Module
from dspex_core.telemetry.methods import arguments_of
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.plan import CompilePlan

Student = TypeVar("Student", bound="Module")


class Optimizer(ABC):
    """Makes a program with better prompts of a program and examples.

    A subclass has `metric`, which says what is better (`None` where it asks nobody), and
    `compile`, whose body runs in `with self.compiling(...)`.
    """

    metric: Metric | None

    def __init_subclass__(cls, **options: Any) -> None:
        """Let a user's own `compile` emit events to callbacks; those here do so by `compiling`."""
        super().__init_subclass__(**options)
        if "compile" in vars(cls) and cls.__module__.partition(".")[0] != __name__.partition(".")[0]:
            cls.compile = _with_events(cls.compile)  # type: ignore[method-assign]

    @abstractmethod
    def compile(
        self,
        student: Student,
        *,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
        teacher: Module | None = None,
    ) -> Student:
        """Return a new program; student, teacher and optimizer stay as they are, also when it raises.

        Args:
            student: The program to improve. Its predictors' own demos are not kept, their LMs are.
            trainset: The examples to learn from; `with_inputs` has named their inputs.
            valset: The examples to choose between candidates by; it is never taken from the trainset.
            teacher: The program whose traces become demos; the student by default.

        Raises:
            OptimizationError: The program cannot be compiled with these examples and options.
        """

    def plan(
        self,
        student: Module,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None,
    ) -> CompilePlan | None:
        """Return the most that `compile` would do with these examples; `None` if that is not to be known."""
        return None

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
            sets = {"trainset": trainset} if valset is None else {"trainset": trainset, "valset": valset}
            reasons = [problem_of(examples, role, needs_inputs=needs_inputs) for role, examples in sets.items()]
            reason = next(filter(None, reasons), None)
            if not student.predictors():
                _log.warning("%s has no predictor whose prompt could be optimized", type(student).__name__)
            if reason is not None:
                raise self.failure(reason, trainset)
            yield attributes

    def failure(self, reason: str, trainset: Sequence[Example]) -> OptimizationError:
        """Return the error that says why this optimizer cannot compile."""
        size = len(trainset) if isinstance(trainset, Sized) else 0
        return OptimizationError(optimizer=type(self).__name__, reason=reason, trainset_size=size)

    def get_params(self) -> dict[str, Any]:
        """Return this optimizer's options: its public attributes."""
        return {name: value for name, value in vars(self).items() if name[0] != "_"}

    def __repr__(self) -> str:
        options = {name: value for name, value in vars(self).items() if value is not None and name[0] != "_"}
        shown = (f"{name}={_shown(value)}" for name, value in options.items())
        return f"{type(self).__name__}({', '.join(shown)})"


_log = logging.getLogger("dspex")

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
