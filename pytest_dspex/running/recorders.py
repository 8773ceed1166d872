"""The recorders of tests and shared fixtures; a cassette is opened when it may be needed. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from pytest_dspex.cassettes.lanes import AHEAD
from pytest_dspex.cassettes.session_recorder import SessionRecorder
from pytest_dspex.cassettes.stash import LANES, LIVE, RECORDING
from pytest_dspex.collecting.case import CASE
from pytest_dspex.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core import LMError, LMRequest, LMResponse
    from dspex_core.plugin_api import WorkerRecorder
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest
    from pytest_dspex.cassettes.live_recorder import LiveRecorder
    from pytest_dspex.cassettes.lm_recorder import CassetteRecorder
    from pytest_dspex.cassettes.places import Place
    from pytest_dspex.cassettes.recording import Recording
    from pytest_dspex.cassettes.repeats import Taken
    from pytest_dspex.running.trace import Trace

ATTEMPTED: pytest.StashKey[bool] = pytest.StashKey()  # of an item that has run before
RECORDER: pytest.StashKey[Trace | CassetteRecorder | LiveRecorder | OnDemand] = pytest.StashKey()  # of an item
_TAKEN: pytest.StashKey[Taken] = pytest.StashKey()  # of an item whose recorder is gone


def recorder_for(item: pytest.Item) -> Trace | CassetteRecorder | LiveRecorder | OnDemand:
    """Return the recorder of an item's LM calls; in a live session it only counts them."""
    if RECORDER not in item.stash:
        options = item.config.stash[OPTIONS]
        if options.live:
            recording_of(item.config)
            item.stash[RECORDER] = _traced(item, item.config.stash[LIVE].of_test(), is_live=True)
        elif CASE in item.stash:
            item.stash[RECORDER] = _traced(item, _recorder_of_case(item), is_live=False)
        else:
            item.stash[RECORDER] = recorder = OnDemand(item.config, lambda: _place_of(item))
            if options.record != "none":
                recorder.open()
    return item.stash[RECORDER]


def _traced(
    item: pytest.Item, recorder: CassetteRecorder | LiveRecorder, *, is_live: bool
) -> Trace | CassetteRecorder | LiveRecorder:
    """Return a recorder that notes the calls of a case, too."""
    if CASE not in item.stash:
        return recorder
    from pytest_dspex.running.trace import Trace  # imported only in sessions that have cases

    return Trace(recorder, is_live=is_live, keeps=item.stash[CASE].gated, lanes=item.config.stash.get(LANES, None))


def _recorder_of_case(item: pytest.Item) -> CassetteRecorder:
    taken = item.stash.get(_TAKEN, None)
    recorder = recording_of(item.config).recorder(_place_of(item), process=os.getpid(), taken=taken)
    if taken is not None:
        recorder.begin_again()
    return recorder


def let_go(item: pytest.Item) -> None:
    """Keep of the recorder of a case that has ended what another run of it needs: there are thousands of cases."""
    from pytest_dspex.running.trace import Trace  # as above

    recorder = item.stash.get(RECORDER, None)
    if not isinstance(recorder, Trace):
        return
    if (taken := recorder.taken()) is not None:
        item.stash[_TAKEN] = taken
    del item.stash[RECORDER]


def ahead(item: pytest.Item) -> AbstractContextManager[None]:
    """Set apart the calls of work that is done ahead of a test from the test's own."""
    lanes = item.config.stash.get(LANES, None)
    return nullcontext() if lanes is None else lanes.at((AHEAD,))


def _place_of(item: pytest.Item) -> Place:
    from pytest_dspex.cassettes.places import place_of_test  # only tests that call an LM need it

    return place_of_test(item)


class OnDemand(SessionRecorder):
    """The recorder of a test or fixture that may not use the plugin; it opens the cassette at the first LM call."""

    def __init__(self, config: pytest.Config, place: Callable[[], Place]) -> None:
        self._config = config
        self._place = place
        self._process = os.getpid()  # the first call may come in a forked child

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response."""
        return self.opened.replay(model, request)

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Record a response of the LM, without the seconds that it took: they differ in each recording."""
        self.opened.record(model, request, response if response.latency is None else replace(response, latency=None))

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Record a refusal of the LM."""
        self.opened.fail(model, request, error)

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return the recorded reply."""
        return self.opened.replay_http(request)

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Record the reply of a server."""
        self.opened.record_http(request, reply)

    def for_worker(self) -> WorkerRecorder:
        """Return what stands for the cassette in the workers of an executor."""
        return self.opened.for_worker()

    def open(self) -> None:
        """Open the cassette, of which the session then knows, whether or not an LM is called."""
        _ = self.opened

    def begin_again(self) -> None:
        """Count equal requests anew."""
        if self.is_open:
            self.opened.begin_again()

    @property
    def is_open(self) -> bool:
        """Whether the cassette is open: an LM was called, or this session records."""
        return "opened" in vars(self)

    def take_miss(self) -> BaseException | None:
        """Return the first request that was not recorded, once."""
        return self.opened.take_miss() if self.is_open else None

    @cached_property
    def opened(self) -> CassetteRecorder:
        """The recorder of the cassette."""
        return recording_of(self._config).recorder(self._place(), process=self._process)


def recording_of(config: pytest.Config) -> Recording:
    """Return the recording of a session, which is made at its first use."""
    from pytest_dspex.cassettes.recording import Recording
    from pytest_dspex.session.controller import watch

    if RECORDING not in config.stash:
        lanes, live = config.stash.get(LANES, None), config.stash.get(LIVE, None)
        config.stash[RECORDING] = Recording(config, lanes=lanes, live=live)
        watch(config)  # the controller shows the counts of calls at the end
    return config.stash[RECORDING]
