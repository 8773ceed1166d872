"""How many workers there are, and when one is replaced. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from dspex_core.errors import ConfigurationError
from dspex_core.plain.counts import seconds, whole_number


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a `Supervisor` runs its workers. Times are in seconds.

    Args:
        workers: How many processes.
        calls_at_once: How many calls one of them runs at the same time.
        waiting: How many calls may wait for room; by default as many as can run. Others are refused (`BusyError`).
        memory: The bytes of memory that a worker may use (its resident set); `None` for no limit.
        calls: After how many calls a worker is replaced by a new one; `None` for never.
        beat: Every how many seconds workers say that they are alive, and their memory is looked at.
        hang: After how many seconds without such a sign a worker is replaced.
        grace: How long a worker may take to stop a call, or to end.
        start: How long a worker may take to load its program.
        first_wait: Before the first new start of a worker that has ended; each further one waits twice as long.
        longest_wait: The longest of these waits.
        healthy: How long a worker has to live, or else answer a call, for the waits to begin anew.
        start_tries: After how many failed starts in a row a worker counts as broken: calls no longer wait for it.
    """

    workers: int = 2
    calls_at_once: int = 16
    waiting: int | None = None
    memory: int | None = None
    calls: int | None = None
    beat: float = 1.0
    hang: float = 30.0
    grace: float = 5.0
    start: float = 120.0
    first_wait: float = 0.1
    longest_wait: float = 30.0
    healthy: float = 10.0
    start_tries: int = 3

    def __post_init__(self) -> None:
        counts = {"workers": self.workers, "calls_at_once": self.calls_at_once, "start_tries": self.start_tries}
        counts |= {name: limit for name, limit in (("calls", self.calls), ("memory", self.memory)) if limit is not None}
        times = {
            "beat": self.beat,
            "hang": self.hang,
            "grace": self.grace,
            "start": self.start,
            "first_wait": self.first_wait,
            "longest_wait": self.longest_wait,
            "healthy": self.healthy,
        }
        for name, value in counts.items():
            whole_number(f"`{name}` of workers", value)
        for name, time in times.items():
            seconds(f"`{name}` of workers", time)
        if self.waiting is not None:
            whole_number("`waiting` of workers", self.waiting, least=0)
        if self.hang <= self.beat:
            raise ConfigurationError(f"`hang` ({self.hang!r}) must be longer than `beat` ({self.beat!r})")
        if sys.platform == "win32":
            raise ConfigurationError("supervised workers need a POSIX system; on Windows, run the program in process")

    @property
    def room(self) -> int:
        """How many calls may run at the same time in all."""
        return self.workers * self.calls_at_once

    @property
    def longest_line(self) -> int:
        """How many calls may wait."""
        return self.room if self.waiting is None else self.waiting
