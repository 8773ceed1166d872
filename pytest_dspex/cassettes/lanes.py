"""In which of several lines of work, that run at once, a call is made. PYTEST_DONT_REWRITE

Equal requests of one test get its recorded replies in the order of the program, not in that of the clock. So a call is
known by its lane: which piece of an `Evaluate` or `Parallel`, which thread or task of a pool, in the order in which the
program started them.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from dspex_core.plugin_api import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator

Lane = tuple[str, ...]


class Lanes:
    """The lanes of the threads of a session; tests without threads of their own have the empty one."""

    def __init__(self) -> None:
        self._of_threads: WeakKeyDictionary[threading.Thread, Lane] = WeakKeyDictionary()
        self._begun: WeakKeyDictionary[object, Counter[tuple[Lane, str]]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def of_thread(self) -> Lane:
        """Return the lane of this thread."""
        return self._of_threads.get(threading.current_thread(), ())

    def here(self) -> Lane:
        """Return the lane of this thread and of the piece of work that it is on."""
        lane, piece = self.of_thread(), PIECE.get()
        return (*lane, *map(str, piece)) if piece else lane

    def next_of(self, owner: object, work: str) -> Lane:
        """Return the lane of work of this name that starts here, for a test that owns it."""
        here = self.here()
        with self._lock:
            begun = self._begun.setdefault(owner, Counter())
            begun[here, work] += 1
            return (*here, str(begun[here, work]))

    def assign(self, thread: threading.Thread, lane: Lane) -> None:
        """Give a thread its lane before it starts."""
        if lane:
            self._of_threads[thread] = lane

    @contextmanager
    def at(self, lane: Lane) -> Iterator[None]:
        """Work on a lane inside the `with` block, in this thread."""
        thread = threading.current_thread()
        before = self._of_threads.get(thread, ())
        self._of_threads[thread] = lane
        try:
            yield
        finally:
            self._of_threads[thread] = before

    def begin_again(self, owner: object) -> None:
        """Count the work of a test anew, as it may be run again."""
        with self._lock:
            self._begun.pop(owner, None)
