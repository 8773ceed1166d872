"""Work in threads that end with the process. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core.flow.pieces import WORK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    """A piece of work and the context in which it runs."""

    work: Callable[[], Any]
    context: Context
    future: Future[Any]

    def attempt(self) -> tuple[Any, BaseException | None]:
        """Return the result, or the error."""
        try:
            return self.context.run(self.work), None
        except BaseException as error:  # noqa: BLE001  who waits for it gets it
            return None, error

    def resolve(self, result: Any, error: BaseException | None) -> None:
        """Give the result or the error to who waits for it."""
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def run(self) -> None:
        """Do the work."""
        self.resolve(*self.attempt())


class Crew:
    """Threads that are used again, each by the thread that has started it.

    A new thread for each of many short pieces of work costs more than most of them.

    Args:
        patience: How many seconds a thread waits for more work before it ends; `None` for as long as the crew is used.
    """

    def __init__(self, patience: float | None = None) -> None:
        self._patience = patience
        self._process = os.getpid()
        self._idle: dict[int, list[SimpleQueue[_Job | None]]] = {}  # by thread, the inboxes of those without work
        self._is_dismissed = False

    def do(self, job: _Job) -> None:
        """Do a job in a thread that has no work, or in a new one."""
        if self._process != os.getpid():  # a forked child has no threads
            self._process, self._idle = os.getpid(), {}
        idle = self._idle.setdefault(threading.get_ident(), [])
        try:
            inbox = idle.pop()
        except IndexError:
            inbox = SimpleQueue()
            threading.Thread(target=self._serve, args=(inbox, idle), name=WORK, daemon=True).start()
        inbox.put(job)

    def dismiss(self) -> None:
        """Let the threads end, each after its work."""
        self._is_dismissed = True
        for idle in list(self._idle.values()):
            while idle:
                idle.pop().put(None)

    def _serve(self, inbox: SimpleQueue[_Job | None], idle: list[SimpleQueue[_Job | None]]) -> None:
        while (job := self._next(inbox, idle)) is not None:
            outcome = job.attempt()
            idle.append(inbox)  # before anybody knows the result, and has more work
            job.resolve(*outcome)
            del job, outcome  # an idle thread keeps nothing alive
            if self._is_dismissed:
                self.dismiss()

    def _next(self, inbox: SimpleQueue[_Job | None], idle: list[SimpleQueue[_Job | None]]) -> _Job | None:
        """Wait for the next job; `None` if there will be none."""
        try:
            return inbox.get(timeout=self._patience)
        except Empty:
            with suppress(ValueError):
                idle.remove(inbox)
                return None
        return inbox.get()  # a job is on its way: its sender has taken the inbox just now


_crew: ContextVar[Crew | None] = ContextVar("dspex_crew", default=None)


def in_thread(work: Callable[[], T], spare: Crew | None = None) -> Future[T]:
    """Do some work in a thread that ends with the process: work that is late can be left behind.

    Args:
        work: The function to call, in a copy of this context.
        spare: Whose threads to use where none are used again anyway; else the thread is a new one.
    """
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # who no longer waits cannot cancel it
    job, crew = _Job(watched(work), copy_context(), future), _crew.get() or spare
    if crew is not None:
        crew.do(job)
    else:
        threading.Thread(target=job.run, name=WORK, daemon=True).start()
    return future


@contextmanager
def reused_threads() -> Iterator[None]:
    """Use the threads of `in_thread` again in a block, and in what it starts with a copy of its context."""
    crew = Crew()
    token = _crew.set(crew)
    try:
        yield
    finally:
        _crew.reset(token)
        crew.dismiss()


class Watch:
    """Says whether sync work that was begun inside `watched_work` is still under way: nobody can cancel it."""

    def __init__(self) -> None:
        self._under_way: set[object] = set()

    @property
    def is_under_way(self) -> bool:
        """Whether a piece of work has not ended."""
        return bool(self._under_way)

    def around(self, work: Callable[[], T]) -> Callable[[], T]:
        """Return the work as a function that says when it has ended."""
        mark = object()
        self._under_way.add(mark)

        def run() -> T:
            try:
                return work()
            finally:
                self._under_way.discard(mark)

        return run


_watch: ContextVar[Watch | None] = ContextVar("dspex_watch", default=None)


@contextmanager
def watched_work() -> Iterator[Watch]:
    """Watch the threads of the library in a block, and in what it starts with a copy of its context."""
    watch = Watch()
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def watched(work: Callable[[], T]) -> Callable[[], T]:
    """Return work for another thread so that a watch around this call knows of it."""
    watch = _watch.get()
    return work if watch is None else watch.around(work)
