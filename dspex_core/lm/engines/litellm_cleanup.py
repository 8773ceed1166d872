"""Closes clients and loops that LiteLLM leaves open, and drops them in a fork. PYTEST_DONT_REWRITE

Only `litellm`, the engine, imports this module: it loads LiteLLM.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import inspect
import threading
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.flow import forks
from dspex_core.lm.engines.per_loop import PerLoop

with foreign_code():
    import litellm
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


async def _at_the_end_of_a_loop() -> AsyncGenerator[None, None]:
    """Run LiteLLM's callbacks and close its clients when the event loop shuts down."""
    try:
        yield
    finally:
        with foreign_code():
            await GLOBAL_LOGGING_WORKER.clear_queue()  # type: ignore[no-untyped-call]  # it has no annotations
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


def keep_event_loop() -> None:
    """Keep the event loop that LiteLLM makes for the first sync call in the main thread, until the process ends.

    The next `asyncio.run` would drop it while it is open, which warns at some later point.
    """
    if threading.current_thread() is threading.main_thread():
        _close_event_loop_at_exit()


@functools.cache  # once: from then on asyncio makes no loop by itself
def _close_event_loop_at_exit() -> None:
    try:
        with foreign_code():
            loop = asyncio.get_event_loop()
    except RuntimeError:  # no current loop: `asyncio.run` has been used before
        return
    if not loop.is_running():
        atexit.register(loop.close)


@atexit.register
def _close_sync_clients() -> None:
    with foreign_code():
        for client in litellm.in_memory_llm_clients_cache.cache_dict.values():
            close = getattr(client, "close", None)  # clients are of several libraries
            if close is not None and not inspect.iscoroutinefunction(close):
                close()
