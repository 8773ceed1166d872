"""The event loop of programs that are async: one for the session, in a thread. PYTEST_DONT_REWRITE

A client of an async library belongs to the event loop that it was first used in, and programs share their clients among
cases. With a loop for each case, the second case would meet connections of a loop that is closed.
"""

from __future__ import annotations

import inspect
import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable


class Awaiting:
    """Completes awaitables in the session's event loop, each in the context of the thread that waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def completed(self, value: Any) -> Any:
        """Return a value; if it is awaitable, return what it results in."""
        if not inspect.isawaitable(value):
            return value
        import asyncio  # takes longer than 100 replayed calls of programs that are sync

        result, error = asyncio.run_coroutine_threadsafe(_outcome(value), self._running_loop()).result()
        if error is not None:
            raise error
        return result

    def pytest_sessionfinish(self) -> None:
        """Cancel what still runs, and end the thread."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        import asyncio  # as above

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_serve, args=(self._loop,), name="dspex-async-programs", daemon=True
                )
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio  # as above

    with asyncio.Runner(loop_factory=lambda: loop) as runner:  # which cancels the tasks that are left
        runner.get_loop().run_forever()


async def _outcome(awaitable: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """Await a value; an error is returned, as `SystemExit` and `StopIteration` cannot leave a task unharmed."""
    try:
        return await awaitable, None
    except BaseException as error:  # noqa: BLE001  raised again in the waiting thread
        return None, error


_AWAITING = pytest.StashKey[Awaiting]()


def awaiting(config: pytest.Config) -> Awaiting:
    """Return the session's; call it in the main thread."""
    if _AWAITING not in config.stash:
        config.stash[_AWAITING] = Awaiting()
        config.pluginmanager.register(config.stash[_AWAITING], "dspex-awaiting")
    return config.stash[_AWAITING]


def for_evaluation(config: pytest.Config, program: Callable[..., Any]) -> Callable[..., Any]:
    """Return a program as `Evaluate` calls it in any thread; metrics read the fields of a returned dict as attributes.

    A `Module` is returned as it is.
    """
    from dspex_core import Module, Prediction  # only sessions that use the core import it
    from dspex_core.plugin_api import current

    if isinstance(program, Module):
        return program
    if current().executor is not None:  # this process's event loop stays here
        from pytest_dspex.running.executor import ForWorkers

        return ForWorkers(program)
    loop = awaiting(config)

    def call(*args: Any, **inputs: Any) -> Any:
        made = loop.completed(program(*args, **inputs))
        return Prediction(made) if isinstance(made, dict) and all(isinstance(name, str) for name in made) else made

    return call
