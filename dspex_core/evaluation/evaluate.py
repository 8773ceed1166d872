"""Evaluate: run a program on a dataset, many examples at once, and score it. PYTEST_DONT_REWRITE

An example that fails is recorded with its error and counts as `failure_score`; it is never
dropped. What an evaluation has finished is never lost.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.config import current
from dspex_core.errors import ConfigurationError, EvaluationError
from dspex_core.evaluation.files import write_csv, write_json
from dspex_core.evaluation.result import CaseError, CaseResult, EvaluationResult
from dspex_core.flow.runner import Finished, Runner
from dspex_core.flow.steps import Call, Flow, adrive, drive
from dspex_core.metrics.metrics import Score, as_score
from dspex_core.process.progress import Progress
from dspex_core.programs.parallel import running
from dspex_core.telemetry.spans import span
from dspex_core.telemetry.tracked_usage import track_usage

if TYPE_CHECKING:
    from os import PathLike

    from dspex_core.example import Example

__all__ = ["CaseError", "CaseResult", "Evaluate", "EvaluationResult", "metric_name"]

Metric = Callable[..., Any]
Program = Callable[..., Any]  # a module, or a function


class Evaluate:
    """Runs programs on a dataset and scores them.

    Args:
        devset: The examples; `with_inputs` has named their inputs.
        metric: `metric(example, prediction, trace=None)`, sync or async, returning a number, a
            bool or a `Score`.
        num_threads: How many examples run at once; `settings.num_threads` by default.
        display_progress: Whether to show a progress bar on stderr.
        display_table, provide_traceback: Have no effect; DSPy's code may give them. The table is
            `result.results`, and each of `result.errors` has its traceback.
        max_errors: After how many failed examples to stop; `settings.max_errors` by default.
        failure_score: What a failed example counts.
        save_as_csv, save_as_json: Files to write what was done to, a row for each example.

    Raises on a call:
        ConfigurationError: There is no metric, or the devset has no examples.
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
        self.devset = devset if isinstance(devset, Sequence) else list(devset)
        self.metric = metric
        self.num_threads = num_threads
        self.display_progress = display_progress
        self.max_errors = max_errors
        self.failure_score = failure_score
        self.save_as_csv = save_as_csv
        self.save_as_json = save_as_json

    def __call__(
        self, program: Program, metric: Metric | None = None, devset: Sequence[Example] | None = None
    ) -> EvaluationResult:
        """Run the program on every example, in threads."""
        return drive(self._begin(program, metric, devset).steps())

    async def acall(
        self, program: Program, metric: Metric | None = None, devset: Sequence[Example] | None = None
    ) -> EvaluationResult:
        """Run the program on every example, in tasks of the running event loop."""
        return await adrive(self._begin(program, metric, devset).steps())

    def _begin(self, program: Program, metric: Metric | None, devset: Sequence[Example] | None) -> _Run:
        metric = metric or self.metric
        if metric is None:
            raise ConfigurationError("Evaluate needs a metric: metric(example, prediction, trace=None)")
        examples = _checked(self.devset if devset is None else devset)
        settings = current()
        return _Run(
            self,
            program=program,
            metric=metric,
            devset=examples,
            width=self.num_threads or settings.num_threads,
            max_errors=settings.max_errors if self.max_errors is None else self.max_errors,
        )


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
    ) -> None:
        self.evaluate = evaluate
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
        with span("evaluate", {"instance": self.evaluate, "inputs": inputs}) as attributes:
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
        self._done += 1
        self._total += finished.value.score.value
        self.progress.update(f"mean {self._total / self._done:.3f}")

    def _save(self, result: EvaluationResult) -> None:
        if self.evaluate.save_as_csv is not None:
            write_csv(result, self.evaluate.save_as_csv)
        if self.evaluate.save_as_json is not None:
            write_json(result, self.evaluate.save_as_json)

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
    examples = list(devset)
    if not examples:
        raise ConfigurationError("the devset is empty: Evaluate needs at least one example (has a filter removed all?)")
    for number, example in enumerate(examples, 1):
        if example is None or isinstance(example, dict | str | list | tuple):
            fix = "write Example(row).with_inputs(...)"
            message = f"row {number} of the devset is not an Example but {example!r:.200}: {fix}"
            raise ConfigurationError(message)
    return examples


def metric_name(metric: Metric) -> str:
    """Return the name under which a metric's score is reported."""
    return getattr(metric, "__name__", None) or type(metric).__name__
