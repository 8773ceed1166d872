"""Flows: logic written once as a generator, driven sync or async. PYTEST_DONT_REWRITE

A flow yields steps (an LM call, a sleep, a tool call) and is sent their results; what it
returns is the flow's value. An error of a step is thrown into the flow, which may handle it.
Flows compose with `yield from`. The idea is that of httpx's auth flows.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from dspex_core.errors import StraySignalError
from dspex_core.flow.threads import in_thread

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Step(Protocol):
    """A thing that a flow waits for, sync or async."""

    def run(self) -> Any:
        """Do it and return its result."""

    async def arun(self) -> Any:
        """Do it without blocking the event loop and return its result."""


Flow = Generator[Step, Any, T]


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait for some seconds."""

    seconds: float

    def run(self) -> None:
        """Block for the time."""
        time.sleep(self.seconds)

    async def arun(self) -> None:
        """Let other tasks run for the time."""
        import asyncio  # takes 20 ms to import, which a sync program need not spend

        await asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function, sync or async. A sync one runs in a thread when the flow is driven async."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> Any:
        """Call it; a coroutine runs in an event loop of its own, which is in a thread where one runs already."""
        return in_own_loop(self._awaited) if is_async(self.function) else self._called()

    async def arun(self) -> Any:
        """Call it without blocking the event loop."""
        if is_async(self.function):
            return await self._awaited()
        from dspex_core.flow.offloading import offloaded  # loads asyncio, as for Sleep

        return await offloaded(self._called)

    def _called(self) -> Any:
        try:
            return self.function(*self.args, **self.kwargs)
        except (StopIteration, StopAsyncIteration, GeneratorExit) as error:
            raise StraySignalError(self.function, error) from error

    async def _awaited(self) -> Any:
        try:
            return await self.function(*self.args, **self.kwargs)
        except (StopIteration, StopAsyncIteration) as error:
            raise StraySignalError(self.function, error) from error
        except RuntimeError as error:  # Python makes one of a `StopIteration` that leaves a coroutine
            if isinstance(error.__cause__, StopIteration | StopAsyncIteration):
                raise StraySignalError(self.function, error.__cause__) from error
            raise


@dataclass(frozen=True, slots=True)
class SyncOrAsync:
    """A step that is done in two ways: `sync` when driven sync, `awaited` when driven async."""

    sync: Call
    awaited: Call

    def run(self) -> Any:
        """Do it in this thread."""
        return self.sync.run()

    async def arun(self) -> Any:
        """Do it without blocking the event loop."""
        return await self.awaited.arun()


def is_async(function: Callable[..., Any]) -> bool:
    """Whether a call of a function, or of an object with a `__call__`, has to be awaited."""
    plain = function.__func__ if isinstance(function, MethodType) else function
    if isinstance(plain, FunctionType) and not plain.__dict__:  # else it may be marked as one
        return bool(plain.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def in_own_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in an event loop of its own, which is in a thread where one runs already, as in a notebook."""
    import asyncio  # as for Sleep

    if running_loop() is None:
        return asyncio.run(work())
    return in_thread(lambda: asyncio.run(work())).result()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread, or `None`."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio  # as for Sleep

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def drive(flow: Flow[T]) -> T:
    """Run a flow to its end in this thread and return its value."""
    try:
        step = next(flow)
        while True:
            try:
                result = step.run()
            except BaseException as error:  # noqa: BLE001  the flow decides, and re-raises what it does not handle
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
    finally:
        flow.close()


async def adrive(flow: Flow[T]) -> T:
    """Run a flow to its end in this task and return its value."""
    try:
        step = next(flow)
        while True:
            try:
                result = await step.arun()
            except BaseException as error:  # noqa: BLE001  as in drive
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]  # StopIteration is not generic
    finally:
        flow.close()
