"""Rate limiting: spreads the calls of an LM over time. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
import time

from dspex_core.errors import ConfigurationError
from dspex_core.flow import forks
from dspex_core.flow.steps import Sleep


class RateLimiter(forks.RenewedInChild):
    """Gives calls their turns, first come, first served, evenly spread over time.

    Args:
        per_minute: How many turns there are in a minute.

    A turn is given at once and waited for by whoever got it, so threads and event loops may
    share a limiter, and nobody can be overtaken.
    """

    def __init__(self, per_minute: float) -> None:
        if per_minute <= 0:
            message = f"requests_per_minute must be above 0, not {per_minute!r}"
            raise ConfigurationError(message)
        self.per_minute = per_minute
        self._pause = 60.0 / per_minute
        self._lock = threading.Lock()
        self._next = 0.0
        forks.watch(self)

    def in_child(self) -> None:
        """Start a schedule of its own, as any other process does."""
        self._lock = threading.Lock()
        self._next = 0.0

    def turn(self) -> Sleep:
        """Return the step of waiting for the next turn."""
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._pause
        return Sleep(turn - now)

    def __reduce__(self) -> tuple[type[RateLimiter], tuple[float]]:
        return (type(self), (self.per_minute,))  # another process has its own schedule
