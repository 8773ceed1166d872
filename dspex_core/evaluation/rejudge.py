"""Another metric on predictions that there are already. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import BudgetExceededError, ConfigurationError
from dspex_core.evaluation.case import CaseError, CaseResult, Phase, error_of
from dspex_core.flow.runner import Finished, Runner
from dspex_core.metrics.score import Score, as_score, metric_name
from dspex_core.metrics.spent import spent_noted
from dspex_core.programs.base import running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex_core.flow.steps import Flow


@dataclass(frozen=True, slots=True)
class CaseJudge:
    """Scores one case at a time by a metric, without its program.

    Args:
        metric: `metric(example, prediction, trace=None)`.
        failure_score: The score of a case where the metric fails.
    """

    metric: Callable[..., Any]
    failure_score: float = 0.0

    def flow(self, case: CaseResult) -> Flow[CaseResult]:
        """Score a case; one whose program failed stays as it is."""
        error = case.error
        if error is not None and error.phase != "metric" and case.prediction is None:
            return case
        try:
            noted = spent_noted(case.prediction, case.latency, case.usage)
            with noted, context(trace=None, attempt=case.attempt):
                found = yield from running(self.metric, case.example, case.prediction)
            return replace(case, score=as_score(found, metric_name(self.metric)), error=None)
        except Exception as raised:  # noqa: BLE001  the boundary at which errors become records
            phase: Phase = "budget" if isinstance(raised, BudgetExceededError) else "metric"
            failed = CaseError(phase, raised, traceback.format_exc())
            return replace(case, score=Score(self.failure_score), error=failed)


def rejudging(
    cases: Sequence[CaseResult], judge: CaseJudge, *, num_threads: int | None = None
) -> Flow[tuple[CaseResult, ...]]:
    """Score cases by another metric, some at the same time.

    Raises:
        BudgetExceededError: The budget ran out.
        ConfigurationError: There is no case.
    """
    if not cases:
        raise ConfigurationError("there is no case to judge again")
    judged = list(cases)

    def keep(finished: Finished[CaseResult]) -> None:
        assert finished.value is not None, finished.error  # a metric's error is in the case
        judged[finished.index] = finished.value

    runner = Runner[CaseResult](
        width=num_threads or current().num_threads, max_errors=len(cases), on_finished=keep, error_of=error_of
    )
    yield from runner.steps([partial(judge.flow, case) for case in cases])
    if runner.over_budget is not None:
        raise runner.over_budget
    return tuple(judged)
