"""A resource that belongs to an event loop and ends with it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dspex_core.flow import forks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

T = TypeVar("T")


class PerLoop(forks.RenewedInChild, Generic[T]):
    """Makes one value for each event loop that asks, and ends it when that loop shuts down.

    Args:
        make: An asynchronous generator function that yields the value once and then cleans up.

    A library gets no event when a loop closes, but `asyncio.run` and the like end the loop's asynchronous generators
    last, so a value lives as long as its generator. A bare `loop.close()` leaves it to the garbage collector, which
    warns, as about every open connection.
    """

    def __init__(self, make: Callable[[], AsyncGenerator[T, None]]) -> None:
        self._make = make
        self._open: dict[asyncio.AbstractEventLoop, tuple[T, AsyncGenerator[T, None]]] = {}
        self._parents: list[Any] = []
        forks.watch(self)

    def in_child(self) -> None:
        """Make new values; ending those of the parent would unregister its connections from its loop."""
        self._parents.append(self._open)
        self._open = {}

    async def get(self) -> T:
        """Return the running loop's value."""
        loop = asyncio.get_running_loop()
        kept = self._open.get(loop)
        if kept is None:
            for ended in [known for known in list(self._open) if known.is_closed()]:
                self._open.pop(ended, None)
            life = self._make()
            kept = self._open[loop] = (await anext(life), life)
        return kept[0]
