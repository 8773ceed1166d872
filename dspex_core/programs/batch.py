"""Running many pieces of work at once, with their failures as values. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import BudgetExceededError, ParallelError
from dspex_core.flow.steps import Flow, TimeLimit, Together
from dspex_core.process.foreign_code import foreign_code

if TYPE_CHECKING:
    from dspex_core.contracts import Trace

_log = logging.getLogger("dspex")

Work = Sequence[tuple[Any, Callable[[], Flow[Any]]]]  # each example with what begins the work on it


@dataclass(frozen=True)
class Batch:
    """How to run many pieces of work; see `Parallel`, whose arguments these are."""

    num_threads: int | None = None
    max_errors: int | None = None
    return_failed_examples: bool = False
    provide_traceback: bool | None = None
    disable_progress_bar: bool = False
    timeout: float | None = None
    straggler_limit: int | None = None

    def steps(self, work: Work) -> Flow[Any]:
        """Do all of the work; return what `Parallel` returns, or raise as it does."""
        settings = current()
        run = _Run(self, work, settings.max_errors if self.max_errors is None else self.max_errors)
        try:
            yield Together(run.todo(), max(1, min(self.num_threads or settings.num_threads, len(work))))
        except BaseException as error:
            error.results, error.exceptions = list(run.results), dict(run.errors)  # type: ignore[attr-defined]  # as in ParallelError
            raise
        finally:
            run.progress.close()
            if settings.trace is not None:
                settings.trace.extend(entry for trace in run.traces for entry in trace)
        run.check()
        if not self.return_failed_examples:
            return run.results
        failed = sorted(run.errors)
        return run.results, [work[index][0] for index in failed], [run.errors[index] for index in failed]


class _Run:
    """A batch under way."""

    def __init__(self, batch: Batch, work: Work, max_errors: int) -> None:
        self.batch = batch
        self.work = work
        self.max_errors = max_errors
        self.results: list[Any] = [None] * len(work)
        self.errors: dict[int, Exception] = {}
        self.traces: list[Trace] = [[] for _ in work]  # one each, so that they end up in the order of the work
        self.progress = _progress_bar(len(work), hidden=batch.disable_progress_bar)
        self._over_budget: BudgetExceededError | None = None

    def todo(self) -> Iterator[Flow[None]]:
        """Yield a flow for each piece, until too many have failed or the budget has run out."""
        for index, (_, begin) in enumerate(self.work):
            if self._over_budget is not None or len(self.errors) > self.max_errors:
                return
            yield self._one(index, begin)

    def _one(self, index: int, begin: Callable[[], Flow[Any]]) -> Flow[None]:
        traced = {} if current().trace is None else {"trace": self.traces[index]}
        try:
            with context(**traced):
                if self.batch.timeout:
                    self.results[index] = yield TimeLimit(begin(), self.batch.timeout)
                else:
                    self.results[index] = yield from begin()
        except Exception as error:  # noqa: BLE001  the boundary at which errors become values
            self.errors[index] = error
            if isinstance(error, BudgetExceededError):
                self._over_budget = error
            shown = error if self.batch.provide_traceback else None
            _log.warning("example %d failed: %s: %s", index, type(error).__name__, error, exc_info=shown)
        self.progress.update()

    def check(self) -> None:
        """Raise if the work was given up."""
        if self._over_budget is None and len(self.errors) <= self.max_errors:
            return
        cause = self._over_budget or self.errors[min(self.errors)]
        why = "the budget ran out" if self._over_budget else f"max_errors={self.max_errors}"
        message = (
            f"stopped after {len(self.errors)} of {len(self.work)} examples failed ({why}); "
            f"{'the error' if self._over_budget else 'the first'}: {type(cause).__name__}: {cause}"
        )
        raise ParallelError(message, results=self.results, exceptions=self.errors) from cause


def _progress_bar(total: int, *, hidden: bool) -> Any:
    with foreign_code():
        from tqdm import tqdm  # not needed to import dspex

        return tqdm(
            total=total, unit="example", dynamic_ncols=True, disable=hidden or None
        )  # None: not but on a terminal
