"""The sync work of many tasks of an event loop, in as few threads as it takes. PYTEST_DONT_REWRITE

A thread for each piece of work that waits costs ten times as much as a metric that compares two texts, since all
of them compete for the interpreter. Here one thread does what has come up meanwhile, and the loop receives the
results together. Work that blocks does not keep other work waiting: where work is known to take long, a thread is
added for each piece; where it is not, others are added as soon as nothing was begun for a moment.

The loop itself waits for work that is usually short, at most as long as short work takes. So a task goes on at
once to its next request. If it had to wait for its turn again, all tasks would be in step: first all wait for their
replies, then the replies wait for the tasks. Other tasks have a turn every few milliseconds (`Turns`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core.flow.pieces import WORK
from dspex_core.flow.threads import in_thread, watched
from dspex_core.flow.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
_MOMENT = 0.01  # seconds: twice as long as a thread that computes keeps the interpreter from others
_LONG = 0.001  # seconds that work takes for which another thread is worth while
_WEIGHT = 1 / 8  # of the latest piece of work in the time that it typically takes


@dataclass(slots=True)
class _Job:
    work: Callable[[], Any]
    context: Context
    ended: threading.Lock  # released when it has
    future: asyncio.Future[Any] | None = None  # of who no longer waits for `ended`
    result: Any = None
    error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.context.run(self.work)
        except BaseException as error:  # noqa: BLE001  who waits for it gets it
            self.error = error

    def outcome(self) -> Any:
        """Return the result, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.result

    def resolve(self) -> None:
        if self.future is None or self.future.done():  # who waited was cancelled
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


class Offloader:
    """Takes sync work from one event loop, and gives it the results."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._turns = Turns(self.loop)
        self._todo: deque[_Job] = deque()
        self._done: deque[_Job] = deque()
        self._idle: list[SimpleQueue[None]] = []  # each wakes a thread
        self._lock = threading.Lock()  # of going idle, and of looking whether anybody is not
        self._busy = 0  # threads
        self._begun = self._seen = 0  # jobs
        self._typical = 0.0  # seconds
        self._is_watched = self._is_announced = self._is_closed = False

    async def do(self, work: Callable[[], T]) -> T:
        """Do some work in a thread, in a copy of this context."""
        if self._turns.are_due():
            await asyncio.sleep(0)
        job = _Job(watched(work), copy_context(), threading.Lock())
        job.ended.acquire()
        with self._lock:
            self._todo.append(job)
            is_alone, is_long = not self._busy, self._typical > _LONG
        if is_alone or is_long:
            self._add_thread()
        if is_alone and not is_long and job.ended.acquire(timeout=_LONG):
            return job.outcome()  # type: ignore[no-any-return]  # a job's result is Any
        with self._lock:
            if job.ended.acquire(blocking=False):
                return job.outcome()  # type: ignore[no-any-return]
            job.future = self.loop.create_future()
        if not self._is_watched:
            self._watch_from_now()
        found: T = await job.future
        return found

    def close(self) -> None:
        """Let the threads end, each after its work."""
        self._is_closed = True
        while self._idle:
            self._add_thread()  # which finds nothing to do

    def _add_thread(self) -> None:
        with self._lock:
            self._busy += 1
            wake = self._idle.pop() if self._idle else None
        if wake is None:
            threading.Thread(target=self._serve, name=WORK, daemon=True).start()
        else:
            wake.put(None)

    def _watch_from_now(self) -> None:
        self._is_watched, self._seen = True, self._begun
        self.loop.call_later(_MOMENT, self._watch)

    def _watch(self) -> None:
        """Add as many threads as there are, if work waits and they have begun none."""
        self._is_watched = False
        if not self._todo:
            return
        if self._begun == self._seen:
            for _ in range(min(len(self._todo), max(1, self._busy))):
                self._add_thread()
        self._watch_from_now()

    def _serve(self) -> None:
        wake: SimpleQueue[None] = SimpleQueue()
        while (job := self._next(wake)) is not None:
            started = time.perf_counter()
            job.run()
            self._typical += (time.perf_counter() - started - self._typical) * _WEIGHT
            with self._lock:
                job.ended.release()
                is_awaited = job.future is not None
            if is_awaited:
                self._hand_over(job)
            del job  # an idle thread keeps nothing alive

    def _hand_over(self, job: _Job) -> None:
        self._done.append(job)
        if not self._is_announced:
            self._is_announced = True
            with suppress(RuntimeError):  # the loop was closed: nobody waits
                self.loop.call_soon_threadsafe(self._deliver)

    def _next(self, wake: SimpleQueue[None]) -> _Job | None:
        """Return the next job, or wait for one; `None` after the last."""
        while True:
            with self._lock:
                if self._todo:
                    self._begun += 1
                    return self._todo.popleft()
                self._busy -= 1
                if self._is_closed:
                    return None
                self._idle.append(wake)
            wake.get()

    def _deliver(self) -> None:
        self._is_announced = False  # before looking: what is done from now on is announced again
        while self._done:
            self._done.popleft().resolve()


_offloader: ContextVar[Offloader | None] = ContextVar("dspex_offloader", default=None)


@contextmanager
def offloading() -> Iterator[None]:
    """Share threads in a block, and in what it starts in this event loop with a copy of its context."""
    outer = _offloader.get()
    if outer is not None and outer.loop is asyncio.get_running_loop():
        yield
        return
    offloader = Offloader()
    token = _offloader.set(offloader)
    try:
        yield
    finally:
        _offloader.reset(token)
        offloader.close()


async def offloaded(work: Callable[[], T]) -> T:
    """Do sync work without blocking the event loop, in a thread that ends with the process."""
    offloader = _offloader.get()
    if offloader is not None and offloader.loop is asyncio.get_running_loop():
        return await offloader.do(work)
    return await asyncio.wrap_future(in_thread(work))
