"""Predictions, made concurrently ahead of the tests that use them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import LMNotConfiguredError
from pytest_dspex.collecting.case import CASE, fixture_definitions, other_parameters
from pytest_dspex.keys import NEXT_ITEM
from pytest_dspex.options import OPTIONS, is_worker
from pytest_dspex.running.awaiting import awaiting
from pytest_dspex.running.predicting import Made, make
from pytest_dspex.running.recorders import recorder_for
from pytest_dspex.session.live import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable


_PATIENCE = 0.2  # seconds that a session waits for predictions in its tests' thread
_SHORT = 0.003  # beside these of each prediction: a busy machine makes every thread wait


class Prefetcher:
    """Runs a program for an item and those that follow; each item's prediction is made once.

    Where all answers are recorded there is mostly nothing to wait for, and the hand-over to another thread would take
    as long as the prediction. So a session that only replays makes each prediction in its test's own thread, until it
    has waited there for some time: for a tool, a database, another process.

    In a session that stops at failures (`-x`), only so many are made ahead as cases have passed, plus one: the first
    failure may be that of all.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._awaiting = awaiting(config)
        self._width = config.stash[OPTIONS].concurrency
        options = config.stash[OPTIONS]
        self._patience = 0.0 if options.asks or options.executor else _PATIENCE
        self._stops = bool(config.getoption("maxfail", default=0))
        self._passed = 0
        self._pool = ThreadPoolExecutor(self._width, thread_name_prefix="dspex-prefetch")
        self._futures: dict[str, Future[Made]] = {}
        self._positions: dict[pytest.Item, int] = {}
        self._looked_at: dict[Hashable, int] = {}  # for each kind of case, up to which position

    def made(self, item: pytest.Item, program: Callable[..., Any], *, name: str) -> Made:
        """Return an item's prediction, and start those of the items after it; `name` is the program's fixture."""
        if self._patience > 0 and not _is_in_event_loop():
            return self._made_here(item, program)
        kind = _kind(item)
        following = self._next(item, kind) if _outlives("lm", item) and _outlives(name, item) else ()
        for each in (item, *(upcoming for upcoming in following if _will_run(upcoming) and _kind(upcoming) == kind)):
            if each.nodeid not in self._futures:
                recorder = recorder_for(each)  # here: its test may begin, or end, while a thread would make another one
                run = contextvars.copy_context().run
                self._futures[each.nodeid] = self._pool.submit(run, make, each, program, self._awaiting, recorder)
        return self._futures.pop(item.nodeid).result()  # popped: a rerun asks again

    def _made_here(self, item: pytest.Item, program: Callable[..., Any]) -> Made:
        begun, worked, slept = time.perf_counter(), time.thread_time(), _sleeps()
        try:
            return contextvars.copy_context().run(make, item, program, self._awaiting, recorder_for(item))
        finally:
            waited = (time.perf_counter() - begun) - (time.thread_time() - worked)
            if not 0 < slept == _sleeps():  # else a busy machine has interrupted the thread, which waited for nothing
                self._patience = min(_PATIENCE, self._patience + _SHORT - waited)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the cases that did not fail."""
        if report.when == "call" and not report.failed:
            self._passed += 1

    def pytest_sessionfinish(self) -> None:
        """Cancel the predictions that have not started, and wait for the others."""
        self._pool.shutdown(cancel_futures=True)

    def _next(self, item: pytest.Item, kind: Hashable) -> Iterable[pytest.Item]:
        """Return the next items that will run in this process, up to twice the number of concurrent predictions."""
        if is_worker(item.config):  # the controller decides which items come after the next
            following = item.stash[NEXT_ITEM]
            return [following] if following is not None else []
        items = item.session.items
        if not self._positions:
            self._positions = {each: position for position, each in enumerate(items)}
        position = self._positions[item]
        ahead = 2 * self._width if not self._stops else min(2 * self._width, self._passed + 1)
        first, end = max(position + 1, self._looked_at.get(kind, 0)), position + ahead
        self._looked_at[kind] = max(first, end)
        return items[first:end]


_PREFETCHER = pytest.StashKey[Prefetcher]()


def predicted(item: pytest.Item, program: Callable[..., Any], *, name: str) -> Made:
    """Return an item's prediction; `name` is the program's fixture. If its LM is not set up, the session ends."""
    try:
        return _prefetcher(item.config).made(item, program, name=name)
    except LMNotConfiguredError as error:  # LiteLLM reports a missing key only when it is called
        refuse(item.config, error)


def _prefetcher(config: pytest.Config) -> Prefetcher:
    """Return the session's prefetcher."""
    if _PREFETCHER not in config.stash:
        config.stash[_PREFETCHER] = Prefetcher(config)
        config.pluginmanager.register(config.stash[_PREFETCHER], "dspex-prefetcher")
    return config.stash[_PREFETCHER]


def _sleeps() -> int:
    """Return how often this thread has stopped to wait for something; 0 where that is not counted."""
    if sys.platform != "linux":
        return 0
    from resource import RUSAGE_THREAD, getrusage  # not there on Windows

    return getrusage(RUSAGE_THREAD).ru_nvcsw


def _is_in_event_loop() -> bool:
    """Return whether an async test waits for its prediction: a program may have an event loop of its own."""
    if "asyncio" not in sys.modules:  # importing it takes longer than 100 replayed calls
        return False
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _outlives(fixture: str, item: pytest.Item) -> bool:
    """Return whether the items after this one share the fixture's value with it."""
    definitions = fixture_definitions(fixture, item)
    return bool(definitions) and definitions[-1].scope != "function"


def _will_run(item: pytest.Item) -> bool:
    return CASE in item.stash and item.get_closest_marker("skip") is None


def _kind(item: pytest.Item) -> Hashable:
    """Return what cases have in common that are predicted with the same program and LM."""
    case = item.stash[CASE]
    return (case.function, case.predictor, tuple((name, id(value)) for name, value in _choosing(item)))


def _choosing(item: pytest.Item) -> Iterable[tuple[str, Any]]:
    """Return the parameters of a case that may choose the program or the LM."""
    parameters = other_parameters(item).items()
    if item.stash[CASE].source is not None:
        return parameters
    return [(name, value) for name, value in parameters if fixture_definitions(name, item)]
