"""Lets other tasks of an event loop have their turns beside work that never waits. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

_LONGEST = 0.005  # seconds without a turn


class Turns:
    """Says when work that goes on without a round of its event loop has to let that go round.

    Without it, timeouts would not end such work, nor would Ctrl-C, which cancels the task of `asyncio.run`.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._began: float | None = None  # when it was first asked since the latest round

    def are_due(self) -> bool:
        """Whether to `await asyncio.sleep(0)` before going on."""
        now = time.perf_counter()
        if self._began is None:
            self._began = now
            self._loop.call_soon(self._went_round)
            return False
        return now - self._began > _LONGEST

    def _went_round(self) -> None:
        self._began = None
