"""Work in threads that end with the process. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
WORK = "dspex-work"  # the name of the threads


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


class _Crew:
    """Threads that are used again, each by the thread that has started it.

    A new thread for each of many short pieces of work costs more than most of them.
    """

    def __init__(self) -> None:
        self.process = os.getpid()  # a forked child has no threads
        self._idle: dict[int, list[SimpleQueue[_Job | None]]] = {}  # by thread, the inboxes of those without work
        self._is_dismissed = False

    def do(self, job: _Job) -> None:
        """Do a job in a thread that has no work, or in a new one."""
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
        while (job := inbox.get()) is not None:
            outcome = job.attempt()
            idle.append(inbox)  # before anybody knows the result, and has more work
            job.resolve(*outcome)
            del job, outcome  # an idle thread keeps nothing alive
            if self._is_dismissed:
                self.dismiss()


_crew: ContextVar[_Crew | None] = ContextVar("dspex_crew", default=None)


def in_thread(work: Callable[[], T]) -> Future[T]:
    """Do some work in a thread that ends with the process: work that is late can be left behind."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # who no longer waits cannot cancel it
    job, crew = _Job(work, copy_context(), future), _crew.get()
    if crew is not None and crew.process == os.getpid():
        crew.do(job)
    else:
        threading.Thread(target=job.run, name=WORK, daemon=True).start()
    return future


@contextmanager
def reused_threads() -> Iterator[None]:
    """Use the threads of `in_thread` again in a block, and in what it starts with a copy of its context."""
    crew = _Crew()
    token = _crew.set(crew)
    try:
        yield
    finally:
        _crew.reset(token)
        crew.dismiss()
