"""Running many pieces of work at once, with their failures as values. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import ParallelError
from dspex_core.errors.printable import printable
from dspex_core.flow.progress import Progress
from dspex_core.flow.runner import Finished, Runner
from dspex_core.flow.steps import Flow
from dspex_core.flow.together import TimeLimit
from dspex_core.plain.display import error_text

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from dspex_core.config.contracts import Trace

_log = logging.getLogger("dspex")

Work = Sequence[tuple[Any, partial[Flow[Any]]]]  # each example with what begins the work on it: `running` on a program


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
    executor: Executor | None = None

    def steps(self, work: Work) -> Flow[Any]:
        """Do all of the work; return what `Parallel` returns, or raise as it does."""
        settings = current()
        progress = Progress(len(work), shown=False if self.disable_progress_bar else None)
        traces: list[Trace] = [[] for _ in work]  # one each, so that they end up in the order of the work

        traced = settings.provide_traceback if self.provide_traceback is None else self.provide_traceback

        done: list[Finished[Any]] = []

        def on_finished(finished: Finished[Any]) -> None:
            done.append(finished)
            if finished.error is not None:
                log_failure(finished.index, finished.error, shows_traceback=traced)
            progress.update()

        runner = Runner[Any](
            width=self.num_threads or settings.num_threads,
            max_errors=settings.max_errors if self.max_errors is None else self.max_errors,
            on_finished=on_finished,
        )
        begun, chunks = self._sent([begin for _, begin in work], self.executor or settings.executor, runner.width)
        try:
            pieces = [partial(self._piece, begin, trace) for begin, trace in zip(begun, traces, strict=True)]
            yield from runner.steps(pieces, chunks)
        except BaseException as error:
            error.results, error.exceptions = _outcomes(done, len(work))  # type: ignore[attr-defined]  # as in ParallelError
            raise
        finally:
            progress.close()
            if settings.trace is not None:
                settings.trace.extend(entry for trace in traces for entry in trace)
        results, errors = _outcomes(done, len(work))
        if runner.gave_up:
            raise _given_up(runner, results, errors)
        if not self.return_failed_examples:
            return results
        return results, [work[index][0] for index in errors], list(errors.values())

    def _sent(
        self, work: Sequence[partial[Flow[Any]]], executor: Executor | None, width: int
    ) -> tuple[Sequence[partial[Flow[Any]]], Callable[[int], int] | None]:
        """Return what begins each piece of the work, in a worker if there is an executor, and how many at once."""
        if executor is None or not work:
            return work, None
        from dspex_core.programs.remote.remote import Remote  # imports what only work in other processes needs

        programs = {id(begin.args[0]): begin.args[0] for begin in work}
        parts = {f"program {number}": program for number, program in enumerate(programs.values())}
        remote = Remote(executor, _begun, parts=parts)
        chunks = None if self.timeout else remote.chunks(len(work), width)  # each has a time limit of its own
        return [partial(remote.piece, begin) for begin in work], chunks

    def _piece(self, begin: Callable[[], Flow[Any]], trace: Trace) -> Flow[Any]:
        traced = {} if current().trace is None else {"trace": trace}
        with context(**traced):
            if self.timeout:
                return (yield TimeLimit(begin(), self.timeout))
            return (yield from begin())


def _begun(begin: Callable[[], Flow[Any]]) -> Flow[Any]:
    return begin()


def log_failure(index: int, error: Exception, *, shows_traceback: bool) -> None:
    """Log that an example has failed."""
    shown = error if shows_traceback else None
    _log.warning("example %d failed: %s", index, printable(error_text(error)), exc_info=shown)


def _outcomes(done: Iterable[Finished[Any]], total: int) -> tuple[list[Any], dict[int, Exception]]:
    """Return the results, `None` for each failed example, and the errors by index."""
    results: list[Any] = [None] * total
    errors: dict[int, Exception] = {}
    for finished in sorted(done, key=lambda finished: finished.index):
        results[finished.index] = finished.value
        if finished.error is not None:
            errors[finished.index] = finished.error
    return results, errors


def _given_up(runner: Runner[Any], results: list[Any], errors: dict[int, Exception]) -> ParallelError:
    """Return the error that says why the work was given up."""
    cause = runner.over_budget or next(iter(errors.values()))
    why = "the budget ran out" if runner.over_budget else f"max_errors={runner.max_errors}"
    message = (
        f"stopped after {len(errors)} of {len(results)} examples failed ({why}); "
        f"{'the error' if runner.over_budget else 'the first'}: {error_text(cause)}"
    )
    error = ParallelError(message, results=results, exceptions=errors)
    error.__cause__ = cause
    return error
