"""Running and scoring one example: a value that another process can run. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import AdapterParseError, BudgetExceededError
from dspex_core.evaluation.case import CaseError, CaseResult, Phase, TraceStep
from dspex_core.flow.steps import Flow, drive
from dspex_core.flow.together import TimeLimit
from dspex_core.metrics.score import Score, as_score, metric_name
from dspex_core.metrics.spent import spent_noted
from dspex_core.programs.base import Module, running
from dspex_core.programs.inputs import is_async_alone
from dspex_core.spending.usage import UsageTracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.config.contracts import Trace
    from dspex_core.example import Example

Metric = Callable[..., Any]
Program = Callable[..., Any]  # a module, or a function


@dataclass(frozen=True)
class CaseRun:
    """Runs a program on one example at a time, and scores what it returns.

    Args:
        program: The module, or function.
        metric: `metric(example, prediction, trace=None)`.
        failure_score: The score of an example that fails.
        timeout: Seconds that an example may take, the metric included; `None` for no limit.
        traces: Whether a case keeps which predictors ran, with their inputs and outputs.
    """

    program: Program
    metric: Metric
    failure_score: float = 0.0
    timeout: float | None = None
    traces: bool = True

    def __call__(self, example: Example, attempt: int = 1, *, index: int | None = None) -> CaseResult:
        """Run and score one example in this thread."""
        return drive(self.flow(example, attempt, index=index))

    def __reduce__(self) -> tuple[Any, ...]:
        return CaseRun, tuple(vars(self)[field.name] for field in fields(self))  # what is cached stays in its process

    def flow(self, example: Example, attempt: int = 1, *, index: int | None = None) -> Flow[CaseResult]:
        """Run and score one example; whatever the program or the metric raises becomes part of the record.

        Args:
            example: The row.
            attempt: Which of the attempts at it this is, from 1.
            index: Its place in the dataset, from 0.
        """
        started, settings = time.perf_counter(), current()
        usage, entries = UsageTracker(parent=settings.usage), list[Any]()
        found = _Found(Score(self.failure_score))
        traced = entries if self.traces or settings.trace is not None else None
        with context(usage=usage, trace=traced, attempt=attempt):
            try:
                scoring = self._scoring(example, found, entries)
                yield from (_within(self.timeout, scoring) if self.timeout else scoring)
            except TimeoutError as late:  # the limit's own: all others are in the record by now
                found = _Found(found.score, found.prediction, _case_error("timeout", late), tuple(entries))
        if settings.trace is not None:
            settings.trace.extend(entries)
        seconds, trace = time.perf_counter() - started, self._trace_of(found.entries)
        return CaseResult(
            example, found.prediction, found.score, found.error, seconds, usage.totals(), trace, attempt, index
        )

    def _scoring(self, example: Example, found: _Found, entries: Trace) -> Flow[None]:
        """Note things as they are found: a time limit may end it at any step."""
        phase: Phase = "program"
        started = time.perf_counter()
        try:
            found.prediction = yield from running(self.program, **example.inputs())
            phase = "metric"
            found.entries = tuple(entries)  # without those of a metric that asks a model
            with spent_noted(found.prediction, time.perf_counter() - started, current().usage):
                result = yield from running(self.metric, example, found.prediction)
            found.score = as_score(result, metric_name(self.metric))
        except Exception as raised:  # noqa: BLE001  the boundary at which errors become records
            found.error = _case_error(_phase_of(raised, phase), raised)
            found.entries = found.entries or tuple(entries)

    def _trace_of(self, entries: tuple[Any, ...]) -> tuple[TraceStep, ...]:
        if not self.traces:
            return ()
        return tuple(
            TraceStep(self._paths.get(id(predictor)) or predictor.signature.__name__, inputs, outputs)
            for predictor, inputs, outputs in entries
        )

    @property
    def needs_loop(self) -> bool:
        """Whether the program or the metric is async alone: then one event loop is to run all of the examples."""
        return is_async_alone(self.program) or is_async_alone(self.metric)

    @cached_property
    def _paths(self) -> Mapping[int, str]:
        program = self.program
        return {id(part): path for path, part in program.every_predictor()} if isinstance(program, Module) else {}


@dataclass(slots=True)
class _Found:
    score: Score
    prediction: Any = None
    error: CaseError | None = None
    entries: tuple[Any, ...] = ()


def _within(seconds: float, scoring: Flow[None]) -> Flow[None]:
    yield TimeLimit(scoring, seconds)


def _phase_of(error: Exception, phase: Phase) -> Phase:
    if isinstance(error, BudgetExceededError):
        return "budget"
    return "adapter" if phase == "program" and isinstance(error, AdapterParseError) else phase


def _case_error(phase: Phase, error: Exception) -> CaseError:
    return CaseError(phase, error, traceback.format_exc())
