"""The response cache: memory in front of SQLite; concurrent equal calls are made once. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.errors import BudgetExceededError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.flow import forks
from dspex_core.flow.steps import Flow, running_loop
from dspex_core.messages import LMResponse
from dspex_core.plain.secrets import holds_credential

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("dspex")
_BUSY_SECONDS = 5.0  # how long another process may hold the database before it counts as locked
_BEAT_SECONDS = 1.0  # how long an event loop may be silent before it counts as blocked


class ResponseCache(forks.RenewedInChild):
    """Keeps responses by key, in memory and, with a `path`, for all processes and later ones.

    Args:
        path: The SQLite file; it is made at first use. `None` keeps responses in memory only.
        memory_entries: How many responses are kept in memory; the least recently used are evicted.
        keeps_cost: Whether a kept response has the cost with which it was asked, and the seconds that it took; by
            default it is free of charge.

    Threads, event loops and processes may share it. It never fails a call: a file that cannot be used is reported once
    to the `dspex` logger and left alone from then on. A response in which a credential stands is kept in memory only. A
    pickle names the file; it does not hold the responses.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, memory_entries: int = 100_000, keeps_cost: bool = False
    ) -> None:
        self.path = None if path is None else Path(path)
        self._keeps_cost = keeps_cost
        self._memory_entries = memory_entries
        self._memory: OrderedDict[str, LMResponse] = OrderedDict()
        self._lock = threading.Lock()
        self._file = None if self.path is None else _File(self.path)
        self._flights: dict[str, _Flight] = {}
        forks.watch(self)

    def __reduce__(self) -> tuple[Any, ...]:
        made = partial(ResponseCache, memory_entries=self._memory_entries, keeps_cost=self._keeps_cost)
        return made, (self.path,)

    def in_child(self) -> None:
        """Forget the parent's calls under way: they never end here."""
        self._lock = threading.Lock()
        self._flights = {}

    def get(self, key: str) -> LMResponse | None:
        """Return the response kept under a key, marked as cached, or `None`."""
        found = self._remembered(key)
        if found is None and self._file is not None:
            found = self._file.read(key)
            if found is not None:
                found = self._remember(key, found)
        return found

    def put(self, key: str, response: LMResponse) -> None:
        """Keep a response under a key, unless it was cut off."""
        if response.is_cut_off:
            return
        self._remember(key, response)
        if self._file is not None:
            self._file.write(key, response)

    def fetch(self, key: str, ask: Callable[[], Flow[LMResponse]]) -> Flow[LMResponse]:
        """Return the response kept under a key, or make the call and keep its response.

        Of concurrent equal calls, in any threads and tasks, one is made and the others wait for it. They also get its
        error; when it is cancelled, another one is made.
        """
        while (found := self.get(key)) is None:
            flight = _Flight()
            leading = self._flights.setdefault(key, flight)
            if leading is flight:
                return (yield from self._lead(key, flight, ask))
            landed = yield _Wait(leading)
            if not landed:
                response = yield from ask()
                self.put(key, response)
                return response
            if leading.not_kept is not None:
                return leading.not_kept
        return found

    def _lead(self, key: str, flight: _Flight, ask: Callable[[], Flow[LMResponse]]) -> Flow[LMResponse]:
        failure = None
        try:
            response = self._remembered(key)  # a call may have ended since the caller looked
            if response is None:
                response = yield from self._timed(ask())
                self.put(key, response)
                if response.is_cut_off:
                    flight.not_kept = self._kept(response)
        except BudgetExceededError:
            raise  # the waiting callers may have another budget
        except Exception as error:
            failure = error
            raise
        else:
            return response
        finally:
            self._flights.pop(key, None)  # missing in a child that was forked meanwhile
            flight.land(failure)

    def _timed(self, asking: Flow[LMResponse]) -> Flow[LMResponse]:
        """Answer, and note the seconds in the response if its cost is kept."""
        begun = time.perf_counter()
        response = yield from asking
        if not self._keeps_cost or response.latency is not None:
            return response
        return replace(response, latency=round(time.perf_counter() - begun, 3))

    def _remembered(self, key: str) -> LMResponse | None:
        with self._lock:
            found = self._memory.get(key)
            if found is not None:
                self._memory.move_to_end(key)
            return found

    def _remember(self, key: str, response: LMResponse) -> LMResponse:
        kept = self._kept(response)
        with self._lock:
            self._memory[key] = kept
            self._memory.move_to_end(key)
            if len(self._memory) > self._memory_entries:
                self._memory.popitem(last=False)
        return kept

    def _kept(self, response: LMResponse) -> LMResponse:
        return replace(response, cached=True, cost=response.cost if self._keeps_cost else 0.0)


class _Flight:
    """A call under way, for which others wait."""

    def __init__(self) -> None:
        self.landed: Future[None] = Future()
        self.landed.set_running_or_notify_cancel()  # a waiting task that is cancelled must not cancel it
        self.loop = running_loop()
        self.not_kept: LMResponse | None = None  # a response for waiting callers only, not for the cache

    def land(self, failure: Exception | None) -> None:
        """Wake the waiting callers, with the call's error if it failed."""
        if failure is None:
            self.landed.set_result(None)
        else:
            self.landed.set_exception(failure)

    def loop_beat(self) -> threading.Event:
        """Return an event that is set as soon as the leader's event loop runs."""
        beat = threading.Event()
        if self.loop is None:
            beat.set()
        else:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.loop.call_soon_threadsafe(beat.set)
        return beat


@dataclass(frozen=True, slots=True)
class _Wait:
    """The step of waiting for a flight: true once it has landed, false if it may never land.

    A leading task proceeds only while its event loop runs. A caller that blocks that loop, directly or through a
    thread, would deadlock.
    """

    flight: _Flight

    def run(self) -> bool:
        """Wait in this thread."""
        if self.flight.loop is not None and self.flight.loop is running_loop():
            return False
        while True:
            beat = self.flight.loop_beat()
            try:
                failure = self.flight.landed.exception(_BEAT_SECONDS)
            except TimeoutError:
                if not beat.is_set():
                    return False
                continue
            if failure is not None:
                raise failure
            return True

    async def arun(self) -> bool:
        """Wait in this task."""
        import asyncio  # as in flow/steps

        landed = asyncio.wrap_future(self.flight.landed)
        try:
            while True:
                beat = self.flight.loop_beat()
                await asyncio.wait((landed,), timeout=_BEAT_SECONDS)
                if landed.done():
                    landed.result()
                    return True
                if not beat.is_set():
                    return False
        finally:
            landed.cancel()  # else asyncio warns about an exception that was never retrieved


class _File:
    """The SQLite side: one row per key, JSON text, until the first failure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._usable = True
        forks.watch(self)

    def before_fork(self) -> None:
        """Close the database, which a child must not inherit; it is reopened on demand."""
        self._lock.acquire()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def after_fork(self) -> None:
        """Allow its use again."""
        self._lock.release()

    in_child = after_fork

    def read(self, key: str) -> LMResponse | None:
        """Return the response kept under a key."""
        row = self._execute("SELECT response FROM responses WHERE key = ?", (key,))
        try:
            return None if row is None else LMResponse.from_json(json.loads(row[0]))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            _log.warning("the cached response %s in %s cannot be read; the call is made again", key, self._path)
            return None

    def write(self, key: str, response: LMResponse) -> None:
        """Keep a response, unless a credential stands in it."""
        text = json.dumps(response.to_json())
        if not holds_credential(text):
            self._execute("INSERT OR REPLACE INTO responses VALUES (?, ?)", (key, text))

    def _execute(self, statement: str, values: tuple[str, ...]) -> tuple[str] | None:
        if not self._usable:
            return None
        try:
            with self._lock:
                self._connection = self._connection or self._open()
                row: tuple[str] | None = self._connection.execute(statement, values).fetchone()
                return row
        except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: the path holds a NUL
            with self._lock:
                first, self._usable = self._usable, False
            if first:
                _log.warning("the response cache %s cannot be used, so responses are not kept: %s", self._path, error)
            return None

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        weakref.finalize(self, connection.close)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # a killed process loses nothing; a power cut, the last rows
        connection.execute("CREATE TABLE IF NOT EXISTS responses (key TEXT PRIMARY KEY, response TEXT NOT NULL)")
        return connection


def default_cache() -> ResponseCache:
    """Return the cache that all processes of the user share; `DSPEX_CACHE_DIR` sets another place.

    A process that only replays has one in memory instead: its results must not depend on the machine.
    """
    return _cache_in_memory() if current().replay_only else _cache_in(os.environ.get("DSPEX_CACHE_DIR"))


@functools.cache
def _cache_in_memory() -> ResponseCache:
    return ResponseCache()


@functools.cache
def _cache_in(directory: str | None) -> ResponseCache:
    if not directory:
        with foreign_code():
            import platformdirs  # only needed here

        directory = platformdirs.user_cache_dir("pytest-dspex", appauthor=False)
    return ResponseCache(Path(directory) / "responses.sqlite")
