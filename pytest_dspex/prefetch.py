"""Predictions, made concurrently ahead of the tests that look at them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pytest_dspex.keys import CASE, NEXT_ITEM, PREFETCHER
from pytest_dspex.options import OPTIONS, is_worker
from pytest_dspex.running import recorder_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from dspex_core import Module


class Prefetcher:
    """Runs a program for the items that come next; each item's prediction is made once."""

    def __init__(self, config: pytest.Config) -> None:
        self._width = config.stash[OPTIONS].concurrency
        self._pool = ThreadPoolExecutor(self._width, thread_name_prefix="dspex-prefetch")
        self._futures: dict[str, Future[Any]] = {}

    def prediction(self, item: pytest.Item, program: Module) -> Any:
        """Return an item's prediction, and begin those of the items after it."""
        for upcoming in self._window(item):
            if upcoming.nodeid not in self._futures:
                context = contextvars.copy_context()
                self._futures[upcoming.nodeid] = self._pool.submit(context.run, _predict, upcoming, program)
        try:
            return self._futures[item.nodeid].result()
        finally:
            del self._futures[item.nodeid]  # a rerun asks again

    def close(self) -> None:
        """Drop what has not begun and wait for what has."""
        self._pool.shutdown(cancel_futures=True)

    def _window(self, item: pytest.Item) -> Iterator[pytest.Item]:
        """Yield the item and those of the same function that surely run here next."""
        yield item
        for upcoming in self._next(item):
            case, this = upcoming.stash.get(CASE, None), item.stash[CASE]
            if case is None or case.function != this.function:
                return
            yield upcoming

    def _next(self, item: pytest.Item) -> list[pytest.Item]:
        if is_worker(item.config):  # what else comes is the controller's decision
            following = item.stash[NEXT_ITEM]
            return [following] if following is not None else []
        items = item.session.items
        position = items.index(item)
        return items[position + 1 : position + 2 * self._width]


def prefetcher(config: pytest.Config) -> Prefetcher:
    """Return the session's prefetcher."""
    if PREFETCHER not in config.stash:
        config.stash[PREFETCHER] = Prefetcher(config)
    return config.stash[PREFETCHER]


def _predict(item: pytest.Item, program: Module) -> Any:
    from dspex_core import context  # the core is loaded by sessions that use it only

    example = item.callspec.params["example"]  # type: ignore[attr-defined]  # parametrized items have it
    with context(recorder=recorder_for(item)):
        return program(**dict(example.inputs()))
