"""In which of several lines of work, that run at once, a call is made. PYTEST_DONT_REWRITE

Equal requests of one test get its recorded replies in the order of the program, not in that of the clock. So a call is
known by its lane: which piece of an `Evaluate` or `Parallel`, which thread or task of a pool, in the order in which the
program started them.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from dspex_core.plugin_api import PIECE

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Mapping

Lane = tuple[str, ...]
AHEAD = "ahead"  # the first part of the lanes of work that is done ahead of a test


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


class CaseLanes:
    """The lanes of one test's calls. The tasks in one lane are told apart in the order of their first calls.

    Args:
        lanes: The lanes of the session's threads.
    """

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._lock = threading.Lock()
        self._tasks: _Tasks | None = None  # most tests have none, and there are thousands of tests

    def here(self) -> Lane:
        """Return the lane of a call that is made here."""
        lane, task = self._lanes.here(), _current_task()
        if task is None:
            return lane
        with self._lock:
            self._tasks = self._tasks or _Tasks()
            number = self._tasks.number_of(task, lane)
        return lane if number == 1 else (*lane, f"t{number}")

    def begin_again(self) -> None:
        """Count the tasks anew, as the test may be run again."""
        with self._lock:
            self._tasks = None


class _Tasks:
    """The tasks of one test that have made calls."""

    def __init__(self) -> None:
        self._number_of: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._numbers: Counter[Lane] = Counter()

    def number_of(self, task: asyncio.Task[Any], lane: Lane) -> int:
        """Return the number of a task among those in its lane, from 1."""
        if task not in self._number_of:
            self._numbers[lane] += 1
            self._number_of[task] = self._numbers[lane]
        return self._number_of[task]


def _current_task() -> asyncio.Task[Any] | None:
    if "asyncio" not in sys.modules:  # no event loop runs, and importing it takes longer than 100 replayed calls
        return None
    import asyncio

    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None


def in_program_order(lanes: Mapping[int, Lane]) -> list[int]:
    """Return the places of a test's calls, given in the order of the clock, in an order that is the same in each run.

    Work ahead of the test comes first. Calls of other lanes come, lane by lane, where the test's own thread waits for
    them: between two calls of its own.
    """
    ordered: list[int] = []
    beside: list[int] = []
    for place in sorted(lanes, key=lambda place: (lanes[place][:1] != (AHEAD,), place)):
        if lanes[place] in ((), (AHEAD,)):
            ordered += _by_lane(beside, lanes)
            ordered.append(place)
            beside = []
        else:
            beside.append(place)
    return ordered + _by_lane(beside, lanes)


def _by_lane(places: list[int], lanes: Mapping[int, Lane]) -> list[int]:
    return sorted(places, key=lambda place: [(len(part), part) for part in lanes[place]])
