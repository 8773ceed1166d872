"""An evaluation under way: cases are run, collected and shown as they finish. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.errors import EvaluationError
from dspex_core.evaluation.case import CaseResult, error_of
from dspex_core.evaluation.stopping import Deciding
from dspex_core.evaluation.tally import Collected
from dspex_core.flow.progress import Progress
from dspex_core.flow.runner import Finished, Runner
from dspex_core.metrics.score import Score, metric_name
from dspex_core.programs.batch import log_failure
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Executor
    from os import PathLike

    from dspex_core.evaluation.devset import Devset
    from dspex_core.evaluation.journal import CaseJournal
    from dspex_core.evaluation.options import Keep
    from dspex_core.evaluation.outputs import Outputs
    from dspex_core.evaluation.result import EvaluationResult
    from dspex_core.evaluation.run import CaseRun
    from dspex_core.evaluation.stopping import Rule
    from dspex_core.example import Example
    from dspex_core.flow.steps import Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be evaluated, and how; `Evaluate` says what each is for."""

    run: CaseRun
    devset: Devset
    width: int
    max_errors: int
    repeats: int
    keep: Keep
    stop_when: Rule | None
    seed: int
    display_progress: bool | None
    provide_traceback: bool
    outputs: Outputs
    journal: str | PathLike[str] | None
    retry_errors: bool
    attributes: Mapping[str, Any]
    executor: Executor | None


class Loop:
    """Runs all cases of a plan, and collects them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._collected = Collected(metric_name(plan.run.metric), plan.keep, plan.repeats)
        self._examples, size, self._deciding = _in_order(plan)
        self._size = None if size is None else size * plan.repeats
        self._runner = Runner[CaseResult](
            width=plan.width if self._size is None else min(plan.width, self._size),
            max_errors=plan.max_errors,
            on_finished=self._collect,
            error_of=error_of,
        )
        self._journal: CaseJournal | None = None
        self._progress = Progress(self._size, shown=plan.display_progress)

    def steps(self) -> Flow[EvaluationResult]:
        """Run all cases and return the result.

        Raises:
            EvaluationError: Too many cases failed, the budget ran out, or the journal cannot be written; it has what
                was done.
            ConfigurationError: The journal cannot be continued.
        """
        flow, chunks = self._flow()
        self._open_journal()
        with span("evaluate", self._attributes()) as attributes:
            try:
                yield from self._runner.steps(self._pieces(flow), chunks)
                result = self.so_far()
                self.plan.outputs.save(result)
                self.plan.outputs.show(result)
                self._refuse_unfinished(result)
            except EvaluationError:
                raise
            except BaseException as error:
                self.abandon(error)
                raise
            finally:
                attributes["result"] = self.so_far()
                self._progress.close()
                if self._journal is not None:
                    self._journal.close()
        return result

    def _flow(self) -> tuple[Callable[..., Flow[CaseResult]], Callable[[int], int] | None]:
        """Return what runs one example, here or in a worker, and how many go to a worker at once."""
        if self.plan.executor is None:
            return self.plan.run.flow, None
        from dspex_core.evaluation.elsewhere import RemoteCases  # imports what only work in other processes needs

        cases = RemoteCases(self.plan.run, self.plan.executor)
        if self._deciding is not None:  # fewer under way, and paid for, when the verdict is settled
            return cases.flow, None
        return cases.flow, cases.chunks(self._size, self._runner.width)

    def so_far(self) -> EvaluationResult:
        """Return what has finished, in the order of the dataset."""
        return self._collected.result(self._deciding.stopped if self._deciding else None)

    def abandon(self, error: BaseException) -> None:
        """Keep what was done and paid for when an interrupt, or another error that no case holds, ends it all."""
        self._runner.stop()
        result = self.so_far()
        error.result = result  # type: ignore[attr-defined]  # whoever catches it finds there what was done
        try:
            self.plan.outputs.save(result)
        except OSError as failed:
            error.add_note(f"what was evaluated before could not be saved: {failed}")

    def _open_journal(self) -> None:
        plan = self.plan
        if plan.journal is None:
            return
        from dspex_core.evaluation.fingerprint import fingerprint_of  # reads code, which no other evaluation does
        from dspex_core.evaluation.journal import CaseJournal  # loads pydantic

        found = fingerprint_of(plan.run, current().lm)
        self._journal = CaseJournal(plan.journal, fingerprint=found, examples=plan.devset.listed)

    def _pieces(self, flow: Callable[..., Flow[CaseResult]]) -> Iterator[Callable[[], Flow[CaseResult]]]:
        for index, example in self._examples:
            for attempt in range(1, self.plan.repeats + 1):
                begin = partial(flow, example, attempt, index=index)
                if self._journal is not None:
                    finished = self._finished(self._journal, example, attempt, index=index)
                    begin = partial(self._kept, self._journal, finished, begin)
                yield begin

    def _finished(self, journal: CaseJournal, example: Example, attempt: int, *, index: int) -> CaseResult | None:
        """Return a case that an earlier run has finished; with `retry_errors`, not one that failed.

        One that failed for want of budget or of a worker was never tried to its end.
        """
        case = journal.case(example, attempt, index=index)
        if case is None or case.error is None:
            return case
        is_tried = case.error.phase not in ("budget", "worker")
        if self.plan.retry_errors or not is_tried:
            return None
        return replace(case, score=Score(self.plan.run.failure_score))

    def _kept(
        self, journal: CaseJournal, finished: CaseResult | None, begin: Callable[[], Flow[CaseResult]]
    ) -> Flow[CaseResult]:
        if finished is not None:
            return finished
        case = yield from begin()
        journal.add(case)
        if journal.error is not None:
            self._runner.stop()
        return case

    def _collect(self, finished: Finished[CaseResult]) -> None:
        """Count a case, and show the figures so far."""
        case = finished.value
        if case is None:  # a case that failed is a value, too: this error is no example's
            assert finished.error is not None
            raise finished.error
        if finished.error is not None:
            log_failure(case.index or 0, finished.error, shows_traceback=self.plan.provide_traceback)
        self._collected.add(case)
        if self._deciding is not None and self._deciding.add(case):
            self._runner.stop()
        if self._progress.is_shown:
            cost = f", ${self._collected.cost:.4f}" if self._collected.cost else ""
            failed = f", {self._collected.errors} errors" if self._collected.errors else ""
            self._progress.update(f"mean {self._collected.mean:.3f}{cost}{failed}")

    def _refuse_unfinished(self, result: EvaluationResult) -> None:
        """Raise EvaluationError if the journal is full, too many examples failed or the budget ran out."""
        runner = self._runner
        if self._journal is not None and self._journal.error is not None:
            message = (
                f"the journal {str(self.plan.journal)!r} cannot be written ({self._journal.error.strerror}): stopped "
                f"after {len(result)} cases, which this error's result has; make room and run it again to go on"
            )
            raise EvaluationError(message, result=result) from self._journal.error
        if not runner.gave_up:
            return
        if runner.over_budget is not None:
            message = f"stopped after {len(result)} examples: {runner.over_budget}"
            raise EvaluationError(message, result=result) from runner.over_budget
        first = next(iter(result.errors), None)
        shown = f"; the first: {first.error}" if first is not None else ""
        message = (
            f"stopped after {runner.failed} failed examples of {len(result)} run "
            f"(max_errors={runner.max_errors}){shown}"
        )
        raise EvaluationError(message, result=result) from (None if first is None else error_of(first))

    def _attributes(self) -> dict[str, Any]:
        plan = self.plan
        devset = plan.devset if plan.devset.listed is None else plan.devset.listed
        inputs = {
            "program": plan.run.program,
            "metric": plan.run.metric,
            "devset": devset,
            "num_threads": self._runner.width,
        }
        return {**plan.attributes, "inputs": {**inputs, **plan.attributes["inputs"]}}


def _in_order(plan: Plan) -> tuple[Iterable[tuple[int, Example]], int | None, Deciding | None]:
    """Return the examples with their places, in the order in which they begin, and how many there are."""
    if plan.stop_when is None:
        listed = plan.devset.listed
        return enumerate(plan.devset if listed is None else listed), None if listed is None else len(listed), None
    examples = plan.devset.in_memory()  # a sample of an iterator's first rows would not be a random one
    order = random.Random(plan.seed).sample(range(len(examples)), len(examples))  # noqa: S311  no secret
    deciding = Deciding(plan.stop_when, order, plan.repeats)
    return ((place, examples[place]) for place in order), len(examples), deciding
