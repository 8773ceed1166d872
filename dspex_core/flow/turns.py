"""Lets other tasks of an event loop have their turns beside work that never waits. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Task

_LONGEST = 0.005  # seconds without a turn


class Turns:
    """Says when work that goes on without a round of its event loop has to let that go round.

    Without it, timeouts would not end such work, nor would Ctrl-C, which cancels the task of `asyncio.run`. A task that
    has waited for something since it last asked goes on in any case: the loop runs all that is ready before it goes
    round, so that the task would end nothing sooner, and would only send its next request a round later.

    Args:
        loop: The event loop.
    """

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._loop = loop
        self._asked: set[Task[Any] | None] = set()  # since the latest round
        self._began = 0.0  # when the first of them did

    def are_due(self) -> bool:
        """Whether the running task has to `await asyncio.sleep(0)` before it goes on."""
        task = asyncio.current_task(self._loop)
        if task in self._asked:
            return time.perf_counter() - self._began > _LONGEST
        if not self._asked:
            self._began = time.perf_counter()
            self._loop.call_soon(self._asked.clear)
        self._asked.add(task)
        return False
