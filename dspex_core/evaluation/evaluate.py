"""Evaluate: run a program on a dataset, many examples at once, and score it. PYTEST_DONT_REWRITE

An example that fails is recorded with its error and counts as `failure_score`; it is never
dropped. What an evaluation has finished is never lost.
"""

from __future__ import annotations

import copy
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from dspex_core.config import current
from dspex_core.datasets.checks import Row, problem_of
from dspex_core.errors import ConfigurationError, EvaluationError
from dspex_core.evaluation.files import write_csv, write_json
from dspex_core.evaluation.result import CaseError, CaseResult, EvaluationResult
from dspex_core.evaluation.table import table_of
from dspex_core.flow.progress import Progress
from dspex_core.flow.runner import Finished, Runner
from dspex_core.flow.steps import Call, Flow, adrive, drive
from dspex_core.metrics.score import Score, as_score
from dspex_core.programs.base import running
from dspex_core.programs.batch import log_failure
from dspex_core.telemetry.spans import span
from dspex_core.telemetry.tracked_usage import track_usage

if TYPE_CHECKING:
    from os import PathLike

    from dspex_core.example import Example

__all__ = ["CaseError", "CaseResult", "Evaluate", "EvaluationResult", "metric_name"]

Metric = Callable[..., Any]
Program = Callable[..., Any]  # a module, or a function


class CallOptions(TypedDict, total=False):
    """Options that a call of `Evaluate` may change, for this call; `None` leaves one as it is.

    `callback_metadata` is among the inputs that callbacks get.
    """

    num_threads: int | None
    display_progress: bool | None
    display_table: bool | int | None
    callback_metadata: Mapping[str, Any] | None
    save_as_csv: str | PathLike[str] | None
    save_as_json: str | PathLike[str] | None


class Evaluate:
    """Runs programs on a dataset and scores them.

    Args:
        devset: The examples; `with_inputs` has named their inputs.
        metric: `metric(example, prediction, trace=None)`, sync or async, returning a number, a
            bool or a `Score`.
        num_threads: How many examples run at once; `settings.num_threads` by default.
        display_progress: Whether to show a progress bar on stderr.
        display_table: Whether to write a table of the cases to `sys.stdout`, or of the first so many; on a terminal
            only. `result.results` has them, too.
        provide_traceback: Whether the log shows where a failure came from; `settings.provide_traceback` by default.
            Each of `result.errors` has its traceback, too.
        max_errors: After how many failed examples to stop; `settings.max_errors` by default.
        failure_score: The score of a failed example.
        save_as_csv, save_as_json: Files to write what was done to, a row for each example.

    Raises on a call:
        ConfigurationError: The metric is missing, or the devset is empty.
        EvaluationError: More than `max_errors` examples failed, or the budget ran out; its `result` holds
            what was done.

    Ctrl-C ends it at once: calls under way are left behind, the files hold what was done, and so does the
    `result` of the `KeyboardInterrupt`. In an event loop that is the `result` of the `CancelledError`, which
    `asyncio.run` turns into a `KeyboardInterrupt` with that as its context.
    """

    def __init__(  # noqa: PLR0913  DSPy's signature
        self,
        *,
        devset: Sequence[Example],
        metric: Metric | None = None,
        num_threads: int | None = None,
        display_progress: bool = False,
        display_table: bool | int = False,
        max_errors: int | None = None,
        provide_traceback: bool | None = None,
        failure_score: float = 0.0,
        save_as_csv: str | PathLike[str] | None = None,
        save_as_json: str | PathLike[str] | None = None,
    ) -> None:
        # Anything else is refused when it runs, in one place for devsets of a call, too.
        is_read_once = isinstance(devset, Iterable) and not isinstance(devset, Sequence)
        self.devset = list(devset) if is_read_once else devset
        self.metric = metric
        self.num_threads = num_threads
        self.display_progress = display_progress
        self.display_table = display_table
        self.max_errors = max_errors
        self.provide_traceback = provide_traceback
        self.failure_score = failure_score
        self.save_as_csv = save_as_csv
        self.save_as_json = save_as_json

    def __call__(
        self,
        program: Program,
        metric: Metric | None = None,
        devset: Sequence[Example] | None = None,
        **options: Unpack[CallOptions],
    ) -> EvaluationResult:
        """Run the program on every example, in threads.

        Args:
            program: The module, or function.
            metric: That of this call; `None` for the evaluation's.
            devset: That of this call; `None` for the evaluation's.
            **options: Other options of this call: see `CallOptions`.
        """
        return drive(self._begin(program, metric, devset, **options).steps())

    async def acall(
        self,
        program: Program,
        metric: Metric | None = None,
        devset: Sequence[Example] | None = None,
        **options: Unpack[CallOptions],
    ) -> EvaluationResult:
        """Run the program on every example, in tasks of the running event loop."""
        return await adrive(self._begin(program, metric, devset, **options).steps())

    def _begin(
        self,
        program: Program,
        metric: Metric | None,
        devset: Sequence[Example] | None,
        *,
        callback_metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> _Run:
        metric = metric or self.metric
        if metric is None:
            raise ConfigurationError("Evaluate needs a metric: metric(example, prediction, trace=None)")
        examples = _checked(self.devset if devset is None else devset)
        settings, own = current(), self._with(options)
        metadata = {} if callback_metadata is None else {"callback_metadata": callback_metadata}
        return _Run(
            own,
            program=program,
            metric=metric,
            devset=examples,
            width=own.num_threads or settings.num_threads,
            max_errors=settings.max_errors if own.max_errors is None else own.max_errors,
            attributes={"instance": self, "inputs": metadata},
        )

    def _with(self, options: Mapping[str, Any]) -> Self:
        """Return this evaluation with the options of a call.

        Raises:
            ConfigurationError: A call does not take one of them.
        """
        unknown = sorted(options.keys() - CallOptions.__annotations__)
        if unknown:
            known = ", ".join(CallOptions.__annotations__)
            raise ConfigurationError(f"a call of Evaluate does not take {', '.join(unknown)}; it takes {known}")
        clone = copy.copy(self)
        vars(clone).update({name: value for name, value in options.items() if value is not None})
        return clone


class _Run:
    """One evaluation under way."""

    def __init__(
        self,
        evaluate: Evaluate,
        *,
        program: Program,
        metric: Metric,
        devset: Sequence[Example],
        width: int,
        max_errors: int,
        attributes: Mapping[str, Any],
    ) -> None:
        self.evaluate = evaluate
        traced = evaluate.provide_traceback
        self._shows_traceback = current().provide_traceback if traced is None else traced
        self.attributes = attributes
        self.program = program
        self.metric = metric
        self.devset = devset
        self.runner = Runner[CaseResult](
            width=min(width, len(devset)), max_errors=max_errors, on_finished=self._finished, error_of=_error_of
        )
        self.progress = Progress(len(devset), shown=evaluate.display_progress)
        self._done = 0
        self._total = 0.0

    def steps(self) -> Flow[EvaluationResult]:
        """Run all cases and return the result."""
        with self.span():
            try:
                yield from self.runner.steps([partial(self.case, example) for example in self.devset])
            except BaseException as error:
                self._abandon(error)
                raise
            self._save(self._so_far())
            self._show(self._so_far())
            return self.result()

    def _abandon(self, error: BaseException) -> None:
        """Keep what was done and paid for when an interrupt, or another error that no case holds, ends it all."""
        result = self._so_far()
        error.result = result  # type: ignore[attr-defined]  # whoever catches it finds there what was done
        try:
            self._save(result)
        except OSError as failed:
            error.add_note(f"what was evaluated before could not be saved: {failed}")

    @contextmanager
    def span(self) -> Iterator[None]:
        """Put the span of the whole evaluation, and its progress bar, around a block."""
        inputs = {
            "program": self.program,
            "metric": self.metric,
            "devset": self.devset,
            "num_threads": self.runner.width,
        }
        attributes = {**self.attributes, "inputs": {**inputs, **self.attributes["inputs"]}}
        with span("evaluate", attributes) as attributes:
            try:
                yield
            finally:
                attributes["result"] = self._so_far()
                self.progress.close()

    def case(self, example: Example) -> Flow[CaseResult]:
        """Run and score one example; whatever the program or the metric raises becomes part of the record."""
        started = time.perf_counter()
        prediction, error, score = None, None, Score(self.evaluate.failure_score)
        with track_usage() as usage:
            phase: Literal["program", "metric"] = "program"
            try:
                prediction = yield from running(self.program, **example.inputs())
                phase = "metric"
                score = as_score((yield Call(self.metric, (example, prediction))))
            except Exception as raised:  # noqa: BLE001  the boundary at which errors become records
                error = CaseError(phase, raised, traceback.format_exc())
        return CaseResult(example, prediction, score, error, time.perf_counter() - started, usage.totals())

    def result(self) -> EvaluationResult:
        """Return the result, unless too many examples failed or the budget ran out."""
        result, runner = self._so_far(), self.runner
        if runner.over_budget is not None:
            message = f"stopped after {len(result)} examples: {runner.over_budget}"
            raise EvaluationError(message, result=result) from runner.over_budget
        if runner.gave_up:
            first = result.errors[0]
            message = (
                f"stopped after {runner.failed} failed examples of {len(result)} run (max_errors={runner.max_errors}); "
                f"the first: {first.error}"
            )
            raise EvaluationError(message, result=result) from _error_of(first)
        return result

    def _finished(self, finished: Finished[CaseResult]) -> None:
        """Show the mean so far."""
        assert finished.value is not None, finished.error  # a case that failed is a value, too
        error = _error_of(finished.value)
        if error is not None:
            log_failure(finished.index, error, shows_traceback=self._shows_traceback)
        self._done += 1
        self._total += finished.value.score.value
        self.progress.update(f"mean {self._total / self._done:.3f}")

    def _save(self, result: EvaluationResult) -> None:
        if self.evaluate.save_as_csv is not None:
            write_csv(result, self.evaluate.save_as_csv)
        if self.evaluate.save_as_json is not None:
            write_json(result, self.evaluate.save_as_json)

    def _show(self, result: EvaluationResult) -> None:
        """Write the table that the user asked for, on a terminal; what reads a pipe or a log does not want one."""
        wanted = self.evaluate.display_table
        if wanted and sys.stdout.isatty():
            rows = None if wanted is True else wanted
            sys.stdout.write(table_of(result, rows=rows, width=shutil.get_terminal_size().columns))

    def _so_far(self) -> EvaluationResult:
        cases = tuple(finished.value for finished in self.runner.finished() if finished.value is not None)
        return EvaluationResult(metric_name(self.metric), cases)


def _error_of(case: CaseResult) -> Exception | None:
    return None if case.error is None else case.error.error


def _checked(devset: Iterable[Example]) -> list[Example]:
    """Return the examples as a list.

    Raises:
        ConfigurationError: There are no examples, so there is nothing to score, or a row is not an example.
    """
    examples = list(devset) if isinstance(devset, Iterable) else devset
    problem = problem_of(examples, "devset", needs_inputs=False, row_type=Row)
    if problem is not None:
        raise ConfigurationError(problem)
    return examples


def metric_name(metric: Metric) -> str:
    """Return the name under which a metric's score is reported."""
    return getattr(metric, "__name__", None) or type(metric).__name__
