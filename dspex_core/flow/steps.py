"""Flows: logic written once as a generator, driven sync or async. PYTEST_DONT_REWRITE

A flow yields steps (an LM call, a sleep, a tool call) and is sent their results; what it
returns is the flow's value. An error of a step is thrown into the flow, which may handle it.
Flows compose with `yield from`. The idea is that of httpx's auth flows.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any, Protocol, TypeVar

from dspex_core.errors import StraySignalError

T = TypeVar("T")


class Step(Protocol):
    """One thing a flow waits for, in both manners of waiting."""

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
        await asyncio.sleep(self.seconds)


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function, sync or async. A sync one runs in a thread when the flow is driven async."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def run(self) -> Any:
        """Call it; a coroutine runs in an event loop of its own, which is in a thread where one runs already."""
        if not _is_async(self.function):
            return self._called()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._awaited())
        return in_thread(lambda: asyncio.run(self._awaited())).result()  # in a notebook, a loop always runs

    async def arun(self) -> Any:
        """Call it without blocking the event loop."""
        if _is_async(self.function):
            return await self._awaited()
        return await asyncio.wrap_future(in_thread(self._called))

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


def _is_async(function: Callable[..., Any]) -> bool:
    if isinstance(function, FunctionType | MethodType):
        return inspect.iscoroutinefunction(function)
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


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


@dataclass(frozen=True, slots=True)
class Together:
    """Run many flows, some at the same time: in threads, or in tasks of the event loop.

    Each runs in a context of its own, so what one sets does not reach the others. An error of one
    ends it all: no more are begun, and it is raised once those under way have ended. An interrupt
    is raised at once: threads under way are left behind, and end with the process.

    Args:
        flows: Taken from one at a time, when there is room for another. They keep what they find.
        width: How many run at once.
    """

    flows: Iterator[Flow[None]]
    width: int

    def run(self) -> None:
        """Run them in threads; in this one if they come one at a time."""
        todo = _Shared(self.flows)

        def work() -> None:
            try:
                for flow in todo:
                    contextvars.copy_context().run(drive, flow)
            except BaseException:
                todo.stop()
                raise

        if self.width == 1:
            work()
            return
        workers = [in_thread(work) for _ in range(self.width)]
        try:
            _wait_for(workers)
        except BaseException:
            todo.stop()
            raise

    async def arun(self) -> None:
        """Run them in tasks."""

        async def work() -> None:
            for flow in self.flows:
                await asyncio.create_task(adrive(flow))

        workers = [asyncio.create_task(work()) for _ in range(self.width)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)


def _wait_for(workers: list[Future[None]]) -> None:
    """Wait for all threads, or for the first that is interrupted; raise the first error."""
    pending = set(workers)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        if any(isinstance(worker.exception(), KeyboardInterrupt | SystemExit) for worker in done):
            break
    for worker in workers:
        if worker.done():
            worker.result()


class _Shared:
    """An iterator that several threads take from, until one of them stops it."""

    def __init__(self, items: Iterator[Flow[None]]) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._stopped = False

    def __iter__(self) -> _Shared:
        return self

    def __next__(self) -> Flow[None]:
        with self._lock:
            if self._stopped:
                raise StopIteration
            return next(self._items)

    def stop(self) -> None:
        self._stopped = True


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """Run a flow, but wait no longer than some seconds for it.

    Driven sync, it runs in a thread of its own. A thread cannot be ended from outside: one that is
    late goes on until its step ends, and what it finds is dropped.

    Raises:
        TimeoutError: It is not done by then.
    """

    flow: Flow[Any]
    seconds: float

    def run(self) -> Any:
        """Run it in a thread and wait."""
        future = in_thread(lambda: drive(self.flow))
        try:
            return future.result(self.seconds)
        except TimeoutError:
            if future.done():  # the error is the flow's own, or it was done just now
                return future.result()
            raise self._late() from None

    async def arun(self) -> Any:
        """Run it in a task and wait; one that is late is cancelled."""
        limit = asyncio.timeout(self.seconds)
        try:
            async with limit:
                return await asyncio.create_task(adrive(self.flow))
        except TimeoutError:
            if not limit.expired():
                raise
            raise self._late() from None

    def _late(self) -> TimeoutError:
        return TimeoutError(f"it was not done within {self.seconds:g} s")


def in_thread(work: Callable[[], T]) -> Future[T]:
    """Do some work in a thread that ends with the process: work that is late can be left behind."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # who no longer waits cannot cancel it

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  who waits for it gets it
            future.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name="dspex-work", daemon=True).start()
    return future
