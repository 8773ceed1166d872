"""Evaluate: run a program on a dataset, many examples at once, and score it. PYTEST_DONT_REWRITE

An example that fails is recorded with its error and counts as `failure_score`; it is never
dropped. What an evaluation has finished is never lost.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.config import current
from dspex_core.errors import BudgetExceededError, ConfigurationError, EvaluationError
from dspex_core.evaluation.files import write_csv, write_json
from dspex_core.evaluation.result import CaseError, CaseResult, EvaluationResult
from dspex_core.flow.steps import Call, Flow, Together, adrive, drive
from dspex_core.metrics.metrics import Score, as_score
from dspex_core.process.foreign_code import foreign_code
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
        self.width = max(1, min(width, len(devset)))
        self.max_errors = max_errors
        self.cases: dict[int, CaseResult] = {}
        self.failed = 0
        self.total = 0.0
        self.progress = _progress_bar(len(devset)) if evaluate.display_progress else None
        self._lock = threading.Lock()
        self._over_budget: BudgetExceededError | None = None

    def steps(self) -> Flow[EvaluationResult]:
        """Run all cases and return the result."""
        with self.span():
            try:
                yield Together(self._todo(), self.width)
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

    def _todo(self) -> Iterator[Flow[None]]:
        """Yield a flow for each example, until too many have failed or the budget has run out."""
        for index, example in enumerate(self.devset):
            if self._over_budget is not None or self.failed > self.max_errors:
                return
            yield self._one(index, example)

    def _one(self, index: int, example: Example) -> Flow[None]:
        self.finished(index, (yield from self.case(example)))

    @contextmanager
    def span(self) -> Iterator[None]:
        """Put the span of the whole evaluation, and its progress bar, around a block."""
        inputs = {"program": self.program, "metric": self.metric, "devset": self.devset, "num_threads": self.width}
        with span("evaluate", {"instance": self.evaluate, "inputs": inputs}) as attributes:
            try:
                yield
            finally:
                attributes["result"] = self._so_far()
                if self.progress is not None:
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

    def finished(self, index: int, case: CaseResult) -> None:
        """Keep a case that is done."""
        with self._lock:
            self.cases[index] = case
            if case.error is not None:
                self.failed += 1
                if isinstance(case.error.error, BudgetExceededError):
                    self._over_budget = case.error.error
            self.total += case.score.value
            if self.progress is not None:
                self.progress.set_postfix_str(f"mean {self.total / len(self.cases):.3f}", refresh=False)
                self.progress.update()

    def result(self) -> EvaluationResult:
        """Return the result, unless too many examples failed or the budget ran out."""
        result = self._so_far()
        if self._over_budget is not None:
            message = f"stopped after {len(self.cases)} examples: {self._over_budget}"
            raise EvaluationError(message, result=result) from self._over_budget
        if self.failed > self.max_errors:
            first = result.errors[0]
            message = (
                f"stopped after {self.failed} failed examples of {len(self.cases)} run (max_errors={self.max_errors}); "
                f"the first: {first.error}"
            )
            raise EvaluationError(message, result=result) from (first.error.error if first.error else None)
        return result

    def _save(self, result: EvaluationResult) -> None:
        if self.evaluate.save_as_csv is not None:
            write_csv(result, self.evaluate.save_as_csv)
        if self.evaluate.save_as_json is not None:
            write_json(result, self.evaluate.save_as_json)

    def _so_far(self) -> EvaluationResult:
        with self._lock:
            cases = tuple(self.cases[index] for index in sorted(self.cases))
        return EvaluationResult(metric_name(self.metric), cases)


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


def _progress_bar(total: int) -> Any:
    with foreign_code():
        from tqdm import tqdm  # only when a bar is asked for

        return tqdm(total=total, unit="example", dynamic_ncols=True)
