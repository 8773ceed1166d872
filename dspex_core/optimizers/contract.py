"""The contract of an optimizer: one method, `compile`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dspex_core.errors import OptimizationError
from dspex_core.example import Example
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dspex_core.evaluation.evaluate import Metric
    from dspex_core.programs.base import Module


class Optimizer(ABC):
    """Makes a program with better prompts of a program and examples.

    A subclass has `metric`, which says what is better (`None` where it asks nobody), and
    `compile`, whose body runs in `with self.compiling(...)`.
    """

    metric: Metric | None

    @abstractmethod
    def compile(
        self,
        student: Module,
        *,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
        teacher: Module | None = None,
    ) -> Module:
        """Return a new program; student, teacher and optimizer stay as they are, also when it raises.

        Args:
            student: The program to improve. Its predictors' own demos are not kept, their LMs are.
            trainset: The examples to learn from; `with_inputs` has named their inputs.
            valset: The examples to choose between candidates by; it is never taken from the trainset.
            teacher: The program that shows how it is done; the student, where there is none.

        Raises:
            OptimizationError: The program cannot be compiled with these examples and options.
        """

    @contextmanager
    def compiling(
        self, student: Module, trainset: Sequence[Example], valset: Sequence[Example] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Frame a `compile`: the span `optimize`, in which the program and the examples are checked first.

        Yields:
            The span's attributes; the caller adds the compiled program as `result`.

        Raises:
            OptimizationError: The student has no predictor, or a set is empty or has no inputs named.
        """
        inputs = {"student": student, "trainset": trainset, "valset": valset}
        with span("optimize", {"instance": self, "inputs": inputs}) as attributes:
            reason = _unfit(trainset, "trainset") or (_unfit(valset, "valset") if valset is not None else None)
            if not student.predictors():
                reason = f"{type(student).__name__} has no predictor whose prompt could be optimized"
            if reason is not None:
                raise self.failure(reason, trainset)
            yield attributes

    def failure(self, reason: str, trainset: Sequence[Example]) -> OptimizationError:
        """Return the error that says why this optimizer cannot compile."""
        return OptimizationError(optimizer=type(self).__name__, reason=reason, trainset_size=len(trainset))

    def __repr__(self) -> str:
        options = {name: value for name, value in vars(self).items() if value is not None and name[0] != "_"}
        shown = (f"{name}={_shown(value)}" for name, value in options.items())
        return f"{type(self).__name__}({', '.join(shown)})"


Teleprompter = Optimizer  # DSPy's older name


def _unfit(examples: Sequence[Example], role: str) -> str | None:
    """Say why a set of examples cannot be used."""
    if not examples:
        return f"the {role} is empty: pass at least one example"
    for number, example in enumerate(examples):
        if not isinstance(example, Example):
            return f"{role}[{number}] is no Example but {example!r}: make it Example(...).with_inputs('name', ...)"
        if not example.input_keys:
            return f"the inputs of {role}[{number}] are not known, {example!r}: call with_inputs('name', ...) on it"
    return None


def _shown(value: Any) -> str:
    return value.__name__ if inspect.isfunction(value) else repr(value)
