"""Calling a tool, sync or async, within a time limit. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ToolServerError
from dspex_core.flow.steps import running_loop
from dspex_core.flow.threads import in_thread

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable
    from concurrent.futures import Future

    from dspex_core.errors import ToolErrorKind

_GRACE = 1.0  # seconds that a cancelled async tool has to end, before it is abandoned


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result or the error of a call; an error of kind `"raised"` is the tool's own."""

    result: Any = None
    error: Exception | None = None
    kind: ToolErrorKind = "raised"


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of a tool with its arguments, ready to be made sync, async or both.

    Args:
        call: Makes the call in this thread.
        acall: Makes the call in an event loop.
        loop: The only loop in which `acall` works, such as the one that a connection belongs to.
    """

    call: Callable[[], Any] | None = None
    acall: Callable[[], Awaitable[Any]] | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def run(self, seconds: float | None) -> Outcome:
        """Make the call and wait; async code runs in its own or a new event loop."""
        if self.call is None:
            return self._run_async(self._awaitable, seconds)
        call = self.call
        outcome = _attempt(call) if seconds is None else _result(in_thread(lambda: _attempt(call)), seconds)
        if not inspect.isawaitable(outcome.result):
            return outcome
        awaited = self._run_async(lambda: outcome.result, seconds)
        if awaited is _IN_A_LOOP and inspect.iscoroutine(outcome.result):
            outcome.result.close()  # not awaited
        return awaited

    async def arun(self, seconds: float | None) -> Outcome:
        """Make the call without blocking the event loop; sync code runs in a thread."""
        import asyncio  # as in flow/steps

        if self.call is not None and self.acall is None:
            call = self.call
            outcome = await _unwrapped(
                _limited(lambda: asyncio.wrap_future(in_thread(lambda: _attempt(call))), seconds)
            )
            if inspect.isawaitable(outcome.result):
                return await _limited(lambda: outcome.result, seconds)
            return outcome
        if self.loop is None or self.loop is asyncio.get_running_loop():
            return await _limited(self._awaitable, seconds)
        if not self.loop.is_running():
            return _LOOP_ENDED
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(_limited(self._awaitable, seconds), self.loop)
        )

    def _awaitable(self) -> Awaitable[Any]:
        assert self.acall is not None
        return self.acall()

    def _run_async(self, awaitable: Callable[[], Awaitable[Any]], seconds: float | None) -> Outcome:
        import asyncio  # as in flow/steps

        here = running_loop()
        if self.loop is not None and self.loop is not here:
            if not self.loop.is_running():
                return _LOOP_ENDED
            future = asyncio.run_coroutine_threadsafe(_limited(awaitable, seconds), self.loop)
            return _result(future, seconds, grace=_GRACE)
        if here is not None:
            return _IN_A_LOOP
        if seconds is None:
            return asyncio.run(_limited(awaitable, seconds))
        # In a thread, as a tool that blocks its event loop cannot be cancelled.
        return _result(in_thread(lambda: asyncio.run(_limited(awaitable, seconds))), seconds, grace=_GRACE)


def _attempt(call: Callable[[], Any]) -> Outcome:
    """Call a function; its error is a value, as futures do not accept `StopIteration`."""
    try:
        return Outcome(call())
    except Exception as error:  # noqa: BLE001  the caller handles it
        return Outcome(error=error)


async def _limited(awaitable: Callable[[], Awaitable[Any]], seconds: float | None) -> Outcome:
    """Await something, cancelled at the time limit."""
    import asyncio  # as in flow/steps

    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return Outcome(await awaitable())
    except TimeoutError as error:
        return _late(seconds) if limit.expired() else Outcome(error=error)
    except Exception as error:  # noqa: BLE001  as in _attempt
        return Outcome(error=error)


async def _unwrapped(waiting: Awaitable[Outcome]) -> Outcome:
    """Return the outcome of a thread, or of waiting for it if that failed."""
    outcome = await waiting
    return outcome.result if isinstance(outcome.result, Outcome) else outcome


def _result(future: Future[Outcome], seconds: float | None, *, grace: float = 0.0) -> Outcome:
    try:
        return future.result(None if seconds is None else seconds + grace)
    except TimeoutError:
        return _late(seconds)


def _late(seconds: float | None) -> Outcome:
    return Outcome(error=TimeoutError(f"it was not done within {seconds:g} s"), kind="timeout")


_IN_A_LOOP = Outcome(
    error=RuntimeError("it is async and an event loop runs in this thread; await acall instead"), kind="needs_async"
)
_LOOP_ENDED = Outcome(
    error=ToolServerError("the connection is closed: the event loop that it belongs to does not run any more")
)
