"""An evaluation under way: cases are run, collected and shown as they finish. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import EvaluationError
from dspex_core.evaluation.case import CaseResult, error_of
from dspex_core.evaluation.result import EvaluationResult
from dspex_core.evaluation.run import metric_name
from dspex_core.flow.progress import Progress
from dspex_core.flow.runner import Finished, Runner
from dspex_core.programs.batch import log_failure
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.evaluation.outputs import Outputs
    from dspex_core.evaluation.run import CaseRun
    from dspex_core.example import Example
    from dspex_core.flow.steps import Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be evaluated, and how.

    Args:
        run: Runs and scores one example.
        devset: The examples.
        width: How many run at once.
        max_errors: How many may fail.
        display_progress: Whether to show a progress bar.
        provide_traceback: Whether the log shows where a failure came from.
        outputs: The files and the table that were asked for.
        attributes: What listeners are to know of this evaluation.
    """

    run: CaseRun
    devset: Sequence[Example]
    width: int
    max_errors: int
    display_progress: bool
    provide_traceback: bool
    outputs: Outputs
    attributes: Mapping[str, Any]


class Loop:
    """Runs all cases of a plan, and collects them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._runner = Runner[CaseResult](
            width=min(plan.width, len(plan.devset)),
            max_errors=plan.max_errors,
            on_finished=self._collect,
            error_of=error_of,
        )
        self._progress = Progress(len(plan.devset), shown=plan.display_progress)
        self._cases: dict[int, CaseResult] = {}
        self._total = 0.0

    def steps(self) -> Flow[EvaluationResult]:
        """Run all cases and return the result.

        Raises:
            EvaluationError: Too many cases failed, or the budget ran out; it has what was done.
        """
        run = self._plan.run
        pieces = [partial(run.flow, example, index=index) for index, example in enumerate(self._plan.devset)]
        with span("evaluate", self._attributes()) as attributes:
            try:
                yield from self._runner.steps(pieces)
                result = self.so_far()
                self._plan.outputs.save(result)
                self._plan.outputs.show(result)
                self._refuse_unfinished(result)
            except EvaluationError:
                raise
            except BaseException as error:
                self._abandon(error)
                raise
            finally:
                attributes["result"] = self.so_far()
                self._progress.close()
        return result

    def so_far(self) -> EvaluationResult:
        """Return what has finished, in the order of the dataset."""
        cases = self._cases.copy()
        return EvaluationResult(metric_name(self._plan.run.metric), tuple(cases[place] for place in sorted(cases)))

    def _collect(self, finished: Finished[CaseResult]) -> None:
        """Keep a case, and show the mean so far."""
        case = finished.value
        assert case is not None, finished.error  # a case that failed is a value, too
        if finished.error is not None:
            log_failure(finished.index, finished.error, shows_traceback=self._plan.provide_traceback)
        self._cases[finished.index] = case
        self._total += case.score.value
        self._progress.update(f"mean {self._total / len(self._cases):.3f}")

    def _refuse_unfinished(self, result: EvaluationResult) -> None:
        """Raise EvaluationError if too many examples failed or the budget ran out."""
        runner = self._runner
        if not runner.gave_up:
            return
        if runner.over_budget is not None:
            message = f"stopped after {len(result)} examples: {runner.over_budget}"
            raise EvaluationError(message, result=result) from runner.over_budget
        first = result.errors[0]
        message = (
            f"stopped after {runner.failed} failed examples of {len(result)} run (max_errors={runner.max_errors}); "
            f"the first: {first.error}"
        )
        raise EvaluationError(message, result=result) from error_of(first)

    def _abandon(self, error: BaseException) -> None:
        """Keep what was done and paid for when an interrupt, or another error that no case holds, ends it all."""
        self._runner.stop()
        result = self.so_far()
        error.result = result  # type: ignore[attr-defined]  # whoever catches it finds there what was done
        try:
            self._plan.outputs.save(result)
        except OSError as failed:
            error.add_note(f"what was evaluated before could not be saved: {failed}")

    def _attributes(self) -> dict[str, Any]:
        plan = self._plan
        inputs = {
            "program": plan.run.program,
            "metric": plan.run.metric,
            "devset": plan.devset,
            "num_threads": self._runner.width,
        }
        return {**plan.attributes, "inputs": {**inputs, **plan.attributes["inputs"]}}
