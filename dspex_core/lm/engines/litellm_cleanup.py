"""Lends LiteLLM event loops, closes clients that it leaves open, and drops both in a fork. PYTEST_DONT_REWRITE

Only `litellm`, the engine, imports this module: it loads LiteLLM.
"""

from __future__ import annotations

import asyncio
import atexit
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.flow import forks
from dspex_core.lm.engines.per_loop import PerLoop

with foreign_code():
    import litellm
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator


async def _at_the_end_of_a_loop() -> AsyncGenerator[None, None]:
    """Run LiteLLM's callbacks and close its clients when the event loop shuts down."""
    try:
        yield
    finally:
        with foreign_code():
            await GLOBAL_LOGGING_WORKER.clear_queue()
            cache = litellm.in_memory_llm_clients_cache
            mark = cache.update_cache_key_with_event_loop("")  # the keys of this loop's clients end with it
            for key in [key for key in cache.cache_dict if mark and key.endswith(mark)]:
                await cache.cache_dict.pop(key).close()


clients = PerLoop(_at_the_end_of_a_loop)


class _Children(forks.RenewedInChild):
    """Gives a forked child its own clients: LiteLLM keeps clients, with their connections, per process."""

    _KEPT = ("in_memory_llm_clients_cache", "module_level_client", "module_level_aclient")

    def __init__(self) -> None:
        self._parents: list[Any] = []  # releasing them would close them
        forks.watch(self)

    def in_child(self) -> None:
        """Forget the parent's clients; LiteLLM makes these anew when it looks for them."""
        kept = vars(litellm)
        self._parents += [kept.pop(name) for name in self._KEPT if name in kept]


_children = _Children()


class _Loops(forks.RenewedInChild):
    """Event loops for sync calls.

    LiteLLM runs some of its callbacks in the event loop of the thread that makes a sync call. A thread that has none
    costs it a new loop in each call, which is a tenth of the call.
    """

    def __init__(self) -> None:
        self._idle: list[asyncio.AbstractEventLoop] = []
        self._parents: list[Any] = []  # closing them would affect the parent
        forks.watch(self)

    def in_child(self) -> None:
        """Forget the parent's loops."""
        self._parents.append(self._idle)
        self._idle = []

    @contextmanager
    def one_for_this_thread(self) -> Iterator[None]:
        """Lend this thread an event loop for one call."""
        idle = self._idle
        try:
            loop = idle.pop()
        except IndexError:
            loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            yield
        finally:
            asyncio.set_event_loop(None)
            idle.append(loop)

    def close(self) -> None:
        """Close those that no call uses."""
        while self._idle:
            self._idle.pop().close()


loops = _Loops()
atexit.register(loops.close)


@atexit.register
def _close_sync_clients() -> None:
    with foreign_code():
        for client in litellm.in_memory_llm_clients_cache.cache_dict.values():
            close = getattr(client, "close", None)  # clients are of several libraries
            if close is not None and not inspect.iscoroutinefunction(close):
                close()
