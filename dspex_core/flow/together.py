"""Steps that run other flows: many at once, or one within a time. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.flow.coroutines import in_context
from dspex_core.flow.pieces import PIECE
from dspex_core.flow.steps import adrive, drive
from dspex_core.flow.threads import in_thread, reused_threads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.flow.steps import Flow


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
        todo = _Shared(enumerate(self.flows))

        def work() -> None:
            try:
                for number, flow in todo:
                    contextvars.copy_context().run(_drive_piece, number, flow)
            except BaseException:
                todo.stop()
                raise

        with reused_threads():
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
        import asyncio  # takes 20 ms to import, which a sync program need not spend

        from dspex_core.flow.offloading import offloading  # loads asyncio, too
        from dspex_core.flow.turns import Turns  # likewise

        todo = enumerate(self.flows)
        turns = Turns(asyncio.get_running_loop())

        async def work() -> None:
            for number, flow in todo:
                await in_context(_adrive_piece(number, flow), contextvars.copy_context())
                if turns.are_due():
                    await asyncio.sleep(0)

        with reused_threads(), offloading():
            workers = [asyncio.create_task(work()) for _ in range(self.width)]
            try:
                await asyncio.gather(*workers)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)


def _drive_piece(number: int, flow: Flow[None]) -> None:
    PIECE.set((*PIECE.get(), number))
    drive(flow)


async def _adrive_piece(number: int, flow: Flow[None]) -> None:
    PIECE.set((*PIECE.get(), number))  # in the piece's own context
    await adrive(flow)


def _wait_for(workers: list[Future[None]]) -> None:
    """Wait for all threads, or for the first that is interrupted; raise the first error."""
    pending = set(workers)
    while pending:  # not each time that one ends: to wait for many takes long
        done, pending = wait(pending, return_when=FIRST_EXCEPTION)
        if any(isinstance(worker.exception(), KeyboardInterrupt | SystemExit) for worker in done):
            break
    for worker in workers:
        if worker.done():
            worker.result()


class _Shared:
    """An iterator that several threads take from, until one of them stops it."""

    def __init__(self, items: Iterator[tuple[int, Flow[None]]]) -> None:
        self._items = items
        self._lock = threading.Lock()
        self._stopped = False

    def __iter__(self) -> _Shared:
        return self

    def __next__(self) -> tuple[int, Flow[None]]:
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
        import asyncio  # as for Together

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
