"""Predictions, made concurrently ahead of the tests that use them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.collecting.case import CASE
from pytest_dspex.keys import NEXT_ITEM
from pytest_dspex.options import OPTIONS, is_worker
from pytest_dspex.running.awaiting import awaiting
from pytest_dspex.running.recorders import recorder_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_dspex.running.awaiting import Awaiting


class Prefetcher:
    """Runs a program for an item and those that follow; each item's prediction is made once."""

    def __init__(self, config: pytest.Config) -> None:
        self._awaiting = awaiting(config)
        self._width = config.stash[OPTIONS].concurrency
        self._pool = ThreadPoolExecutor(self._width, thread_name_prefix="dspex-prefetch")
        self._futures: dict[str, Future[Any]] = {}
        self._positions: dict[pytest.Item, int] = {}

    def prediction(self, item: pytest.Item, program: Callable[..., Any], *, name: str) -> Any:
        """Return an item's prediction, and start those of the items after it; `name` is the program's fixture."""
        following = self._next(item) if _outlives("lm", item) and _outlives(name, item) else ()
        for each in (item, *(upcoming for upcoming in following if _is_predicted_alike(upcoming, item))):
            if each.nodeid not in self._futures:
                context = contextvars.copy_context()
                self._futures[each.nodeid] = self._pool.submit(context.run, _predict, each, program, self._awaiting)
        return self._futures.pop(item.nodeid).result()  # popped: a rerun asks again

    def pytest_sessionfinish(self) -> None:
        """Cancel the predictions that have not started, and wait for the others."""
        self._pool.shutdown(cancel_futures=True)

    def _next(self, item: pytest.Item) -> Iterable[pytest.Item]:
        """Return the next items that will run in this process, up to twice the number of concurrent predictions."""
        if is_worker(item.config):  # the controller decides which items come after the next
            following = item.stash[NEXT_ITEM]
            return [following] if following is not None else []
        items = item.session.items
        if not self._positions:
            self._positions = {each: position for position, each in enumerate(items)}
        position = self._positions[item]
        return items[position + 1 : position + 2 * self._width]


_PREFETCHER = pytest.StashKey[Prefetcher]()


def prefetcher(config: pytest.Config) -> Prefetcher:
    """Return the session's prefetcher."""
    if _PREFETCHER not in config.stash:
        config.stash[_PREFETCHER] = Prefetcher(config)
        config.pluginmanager.register(config.stash[_PREFETCHER], "dspex-prefetcher")
    return config.stash[_PREFETCHER]


def _outlives(fixture: str, item: pytest.Item) -> bool:
    """Return whether the items after this one share the fixture's value with it."""
    definitions = item.session._fixturemanager.getfixturedefs(fixture, item)  # noqa: SLF001  no public way to a scope
    return definitions is not None and definitions[-1].scope != "function"


def _is_predicted_alike(upcoming: pytest.Item, item: pytest.Item) -> bool:
    """Return whether an item will run, with the same program and LM as this one."""
    case, this = upcoming.stash.get(CASE, None), item.stash[CASE]
    return (
        case is not None
        and case.function == this.function
        and _other_parameters(upcoming) == _other_parameters(item)
        and upcoming.get_closest_marker("skip") is None
    )


def _other_parameters(item: pytest.Item) -> dict[str, Any]:
    """Return the parameters of a case other than its row; they may choose the LM."""
    parameters = item.callspec.params  # type: ignore[attr-defined]  # items with a row are parametrized
    return {name: value for name, value in parameters.items() if name != "example"}


def _predict(item: pytest.Item, program: Callable[..., Any], awaiting: Awaiting) -> Any:
    from dspex_core import context  # only sessions that use the core import it

    example = item.callspec.params["example"]  # type: ignore[attr-defined]  # parametrized items have it
    with context(recorder=recorder_for(item)):
        return awaiting.completed(program(**dict(example.inputs())))
