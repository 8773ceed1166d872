"""What a piece of work tells while it runs, as an iterator over it. PYTEST_DONT_REWRITE

pipe = Pipe()
for item in pipe.during(partial(work, pipe.tell)):
...
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from concurrent.futures import Future
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Generator

_END = object()
_GOODBYE_SECONDS = 1.0  # how long the end of a loop waits for the end of the work


class StopTelling(BaseException):
    """Ends work in its middle. No error, so that nobody on its way handles it as one."""


class Pipe:
    """Work that runs in a thread."""

    def __init__(self) -> None:
        self._told: SimpleQueue[Any] = SimpleQueue()
        self._closed = False

    def tell(self, item: Any) -> None:
        """Hand on an item, from whichever thread.

        Raises:
            StopTelling: The iterator was closed.
        """
        if self._closed:
            raise StopTelling
        self._told.put(item)

    def during(
        self, work: Callable[[], object], *, hang_up: Callable[[], None] | None = None
    ) -> Generator[Any, None, None]:
        """Do the work and yield what it tells; its error is raised where it ends.

        It begins with the first item that is asked for, with the settings of this moment. Closing the
        iterator ends it at the next thing that it tells; `hang_up` may end what it waits for.
        """
        return self._during(work, hang_up, copy_context())

    def _during(
        self, work: Callable[[], object], hang_up: Callable[[], None] | None, context: Context
    ) -> Generator[Any, None, None]:
        ended: Future[None] = Future()

        def run() -> None:
            try:
                work()
                ended.set_result(None)
            except BaseException as error:  # noqa: BLE001  it is raised where the items are taken
                ended.set_exception(error)
            finally:
                self._told.put(_END)

        thread = threading.Thread(target=context.run, args=(run,), name="dspex-stream", daemon=True)
        thread.start()
        try:
            while (item := self._told.get()) is not _END:
                yield item
            ended.result()
        finally:
            self._closed = True
            if hang_up is not None:
                hang_up()
            thread.join(_GOODBYE_SECONDS)


class AsyncPipe:
    """Work that runs in a task of the event loop in which its items are taken."""

    def __init__(self) -> None:
        self._told: deque[Any] = deque()
        self._closed = False
        self._arrived = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._home = 0  # the loop's thread

    def tell(self, item: Any) -> None:
        """Hand on an item, from whichever thread.

        Raises:
            StopTelling: The iterator was closed.
        """
        if self._closed:
            raise StopTelling
        self._told.append(item)
        if self._loop is None or threading.get_ident() == self._home:
            self._arrived.set()
        else:
            self._loop.call_soon_threadsafe(self._arrived.set)

    def during(self, work: Coroutine[Any, Any, object]) -> AsyncGenerator[Any, None]:
        """Do the work and yield what it tells, as a `Pipe` does; closing the iterator cancels it."""
        return self._during(work, copy_context())

    async def _during(self, work: Coroutine[Any, Any, object], context: Context) -> AsyncGenerator[Any, None]:
        loop = self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()
        task = loop.create_task(work, context=context)
        task.add_done_callback(lambda _: self._arrived.set())
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                done = task.done()
                while self._told:
                    yield self._told.popleft()
                if done:
                    break
            task.result()
        finally:
            self._closed = True
            task.cancel()
            await asyncio.wait((task,))
            _ = task.cancelled() or task.exception()  # else asyncio complains of an error that nobody came for
