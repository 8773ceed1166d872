"""Cases that the workers of an executor run. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING

from dspex_core.errors import BudgetExceededError
from dspex_core.evaluation.case import CaseError, CaseResult, Phase, error_of
from dspex_core.metrics.score import Score
from dspex_core.programs.remote.remote import Remote
from dspex_core.spending.usage import UsageTotals

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from dspex_core.evaluation.run import CaseRun
    from dspex_core.example import Example
    from dspex_core.flow.steps import Flow


class RemoteCases:
    """Runs cases as `CaseRun` does, in the processes of an executor.

    A case that no worker could do to its end is one that failed, of the phase `"worker"`.
    """

    def __init__(self, run: CaseRun, executor: Executor) -> None:
        self._run = run
        parts = {"program": run.program, "metric": run.metric}
        self._remote = Remote(executor, run.flow, parts=parts, error_of=error_of)

    def chunks(self, total: int | None, width: int) -> Callable[[int], int] | None:
        """Return how many examples travel in one message, by how many have begun; `None` if each goes alone."""
        return self._remote.chunks(total, width)

    def flow(self, example: Example, attempt: int = 1, *, index: int | None = None) -> Flow[CaseResult]:
        """Run and score one example; the arguments are those of `CaseRun.flow`."""
        started = time.perf_counter()
        try:
            case: CaseResult = yield from self._remote.piece(example, attempt, index=index)
        except Exception as raised:  # noqa: BLE001  the boundary at which errors become records
            phase: Phase = "budget" if isinstance(raised, BudgetExceededError) else "worker"
            error = CaseError(phase, raised, traceback.format_exc())
            seconds = time.perf_counter() - started
            score = Score(self._run.failure_score)
            return CaseResult(example, None, score, error, seconds, UsageTotals(), (), attempt, index)
        return case
