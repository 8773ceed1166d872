"""Predictions, made concurrently ahead of the tests that look at them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pytest_dspex.keys import CASE, NEXT_ITEM, PREFETCHER
from pytest_dspex.options import OPTIONS, is_worker
from pytest_dspex.running.around import recorder_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from dspex_core import Module


class Prefetcher:
    """Runs a program for the items that come next; each item's prediction is made once."""

    def __init__(self, config: pytest.Config) -> None:
        self._width = config.stash[OPTIONS].concurrency
        self._pool = ThreadPoolExecutor(self._width, thread_name_prefix="dspex-prefetch")
        self._futures: dict[str, Future[Any]] = {}
        self._positions: dict[pytest.Item, int] = {}

    def prediction(self, item: pytest.Item, program: Module, *, name: str) -> Any:
        """Return an item's prediction, and begin those of the items after it; `name` is the program's fixture."""
        following = self._next(item) if _outlives("lm", item) and _outlives(name, item) else ()
        for each in (item, *(upcoming for upcoming in following if _is_predicted_alike(upcoming, item))):
            if each.nodeid not in self._futures:
                context = contextvars.copy_context()
                self._futures[each.nodeid] = self._pool.submit(context.run, _predict, each, program)
        return self._futures.pop(item.nodeid).result()  # popped: a rerun asks again

    def close(self) -> None:
        """Drop what has not begun and wait for what has."""
        self._pool.shutdown(cancel_futures=True)

    def _next(self, item: pytest.Item) -> Iterable[pytest.Item]:
        """Return the items that surely run in this process after this one, as far as is worth looking."""
        if is_worker(item.config):  # what else comes is the controller's decision
            following = item.stash[NEXT_ITEM]
            return [following] if following is not None else []
        items = item.session.items
        if not self._positions:
            self._positions = {each: position for position, each in enumerate(items)}
        position = self._positions[item]
        return items[position + 1 : position + 2 * self._width]


def prefetcher(config: pytest.Config) -> Prefetcher:
    """Return the session's prefetcher."""
    if PREFETCHER not in config.stash:
        config.stash[PREFETCHER] = Prefetcher(config)
    return config.stash[PREFETCHER]


def _outlives(fixture: str, item: pytest.Item) -> bool:
    """Tell whether the items after this one get the same object of a fixture, not one of their own."""
    definitions = item.session._fixturemanager.getfixturedefs(fixture, item)  # noqa: SLF001  no public way to a scope
    return definitions is not None and definitions[-1].scope != "function"


def _is_predicted_alike(upcoming: pytest.Item, item: pytest.Item) -> bool:
    """Tell whether an item will use the very program and LM that this one uses, and will run at all."""
    case, this = upcoming.stash.get(CASE, None), item.stash[CASE]
    return (
        case is not None
        and case.function == this.function
        and _other_parameters(upcoming) == _other_parameters(item)
        and upcoming.get_closest_marker("skip") is None
    )


def _other_parameters(item: pytest.Item) -> dict[str, Any]:
    """Return what a case is parametrized with beside its row; the LM may be."""
    parameters = item.callspec.params  # type: ignore[attr-defined]  # items with a row are parametrized
    return {name: value for name, value in parameters.items() if name != "example"}


def _predict(item: pytest.Item, program: Module) -> Any:
    from dspex_core import context  # the core is loaded by sessions that use it only

    example = item.callspec.params["example"]  # type: ignore[attr-defined]  # parametrized items have it
    with context(recorder=recorder_for(item)):
        return program(**dict(example.inputs()))
