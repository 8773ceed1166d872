"""Iterates over the items that a piece of work emits while it runs. PYTEST_DONT_REWRITE

pipe = Pipe()
for item in pipe.during(partial(work, pipe.emit)):
...
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator

_END = object()
_GOODBYE_SECONDS = 1.0  # how long the end of a loop waits for the end of the work


class StreamClosed(BaseException):
    """Ends work whose stream was closed. A BaseException, so that error handlers do not catch it."""


class Pipe:
    """Work that runs in a thread."""

    def __init__(self) -> None:
        self._items: SimpleQueue[Any] = SimpleQueue()
        self._closed = False

    def emit(self, item: Any) -> None:
        """Emit an item, from any thread.

        Raises:
            StreamClosed: The iterator was closed.
        """
        if self._closed:
            raise StreamClosed
        self._items.put(item)

    def during(
        self, work: Callable[[], object], *, cancel: Callable[[], None] | None = None
    ) -> Generator[Any, None, None]:
        """Run the work and yield the items that it emits; its error is raised at the end.

        It starts with the first item, under the settings of this call. Closing the iterator ends it at its next item;
        `cancel` may interrupt its waiting.
        """
        return self._during(work, cancel, copy_context())

    def _during(
        self, work: Callable[[], object], cancel: Callable[[], None] | None, context: Context
    ) -> Generator[Any, None, None]:
        ended: Future[None] = Future()

        def run() -> None:
            try:
                work()
                ended.set_result(None)
            except BaseException as error:  # noqa: BLE001  it is raised where the items are taken
                ended.set_exception(error)
            finally:
                self._items.put(_END)

        thread = threading.Thread(target=context.run, args=(run,), name="dspex-stream", daemon=True)
        thread.start()
        try:
            while (item := self._items.get()) is not _END:
                yield item
            ended.result()
        finally:
            self._closed = True
            if cancel is not None:
                cancel()
            thread.join(_GOODBYE_SECONDS)


class AsyncPipe:
    """Work that runs in a task of the event loop in which its items are taken."""

    def __init__(self) -> None:
        import asyncio  # as in flow/steps

        self._items: deque[Any] = deque()
        self._closed = False
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._home = 0  # the loop's thread

    def emit(self, item: Any) -> None:
        """Emit an item, from any thread.

        Raises:
            StreamClosed: The iterator was closed.
        """
        if self._closed:
            raise StreamClosed
        self._items.append(item)
        if self._loop is None or threading.get_ident() == self._home:
            self._arrived.set()
        else:
            self._loop.call_soon_threadsafe(self._arrived.set)

    def during(self, work: Coroutine[Any, Any, object]) -> AsyncGenerator[Any, None]:
        """Run the work and yield its items, as a `Pipe` does; closing the iterator cancels it."""
        return self._during(work, copy_context())

    async def _during(self, work: Coroutine[Any, Any, object], context: Context) -> AsyncGenerator[Any, None]:
        import asyncio  # as in flow/steps

        loop = self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()
        task = loop.create_task(work, context=context)
        task.add_done_callback(lambda _: self._arrived.set())
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                done = task.done()
                while self._items:
                    yield self._items.popleft()
                if done:
                    break
            task.result()
        finally:
            self._closed = True
            task.cancel()
            await asyncio.wait((task,))
            _ = task.cancelled() or task.exception()  # else asyncio warns about an exception that was never retrieved
