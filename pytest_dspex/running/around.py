"""The recorder, the checks and the report of each running test. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import os
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

from dspex_core import DSPexError, context
from dspex_core.plugin_api import ignore_foreign_warnings
from pytest_dspex.cassettes.exchange import HTTPRecorder
from pytest_dspex.cassettes.stash import RECORDING
from pytest_dspex.collecting.case import CASE, COLLECTED
from pytest_dspex.keys import COLLECTED_OUTPUT, NEXT_ITEM, RECORDING_OUTPUT
from pytest_dspex.options import OPTIONS, is_worker
from pytest_dspex.reports.shown import shown
from pytest_dspex.running.routing import ROUTER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core import LMRequest, LMResponse
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest
    from pytest_dspex.cassettes.lm_recorder import CassetteRecorder
    from pytest_dspex.cassettes.recording import Recording
    from pytest_dspex.collecting.case import Case
    from pytest_dspex.running.trace import Trace

_ASSERTIONS = (AssertionError, pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception)

_RECORDER: pytest.StashKey[Trace | CassetteRecorder | OnDemand] = pytest.StashKey()  # of an item


def recorder_for(item: pytest.Item) -> Trace | CassetteRecorder | OnDemand | None:
    """Return the recorder of an item's LM calls; in a live session `None`, unless the item is a case."""
    live = item.config.stash[OPTIONS].live
    if _RECORDER not in item.stash and CASE in item.stash:
        from pytest_dspex.running.trace import Trace  # imported only in sessions that have cases

        item.stash[_RECORDER] = Trace(None if live else _open_recorder(item, process=os.getpid()))
    elif _RECORDER not in item.stash and not live:
        is_sure = item.config.stash[OPTIONS].record != "none"
        item.stash[_RECORDER] = _open_recorder(item, process=os.getpid()) if is_sure else OnDemand(item)
    return item.stash.get(_RECORDER, None)


class OnDemand(HTTPRecorder):
    """The recorder of a test that does not use the plugin; it opens the cassette at the first LM call."""

    def __init__(self, item: pytest.Item) -> None:
        self._item = item
        self._process = os.getpid()  # the first call may come in a forked child

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response."""
        return self._recorder.replay(model, request)

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Record a response of the LM."""
        self._recorder.record(model, request, response)

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return the recorded reply."""
        return self._recorder.replay_http(request)

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Record the reply of a server."""
        self._recorder.record_http(request, reply)

    def begin_again(self) -> None:
        """Count equal requests anew."""
        if "_recorder" in vars(self):
            self._recorder.begin_again()

    @property
    def unseen(self) -> BaseException | None:
        """The miss in a forked child."""
        return self._recorder.unseen if "_recorder" in vars(self) else None

    @cached_property
    def _recorder(self) -> CassetteRecorder:
        return _open_recorder(self._item, process=self._process)


def _open_recorder(item: pytest.Item, *, process: int) -> CassetteRecorder:
    return _recording(item.config).recorder(item, process=process)


def _recording(config: pytest.Config) -> Recording:
    from pytest_dspex.cassettes.recording import Recording
    from pytest_dspex.session.controller import watch

    if RECORDING not in config.stash:
        config.stash[RECORDING] = Recording(config)
        watch(config)  # the controller shows the counts of calls at the end
    return config.stash[RECORDING]


@contextmanager
def around(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Make the item's recorder that of all LM calls, including those of its fixtures."""
    item.stash[NEXT_ITEM] = nextitem
    ignore_foreign_warnings()  # pytest has just reset the filters, and predictions are made ahead in other threads
    recorder, router = recorder_for(item), item.config.stash.get(ROUTER, None)
    routed = router.running(recorder, item.nodeid) if router is not None and recorder is not None else nullcontext()
    with context(recorder=recorder), routed:
        yield
    if RECORDING in item.config.stash:
        item.config.stash[RECORDING].save_early(item, nextitem)


def shared(config: pytest.Config) -> AbstractContextManager[None]:
    """Route the LM calls of threads that a fixture of a wider scope starts to whichever test is running."""
    router = config.stash.get(ROUTER, None)
    return nullcontext() if router is None else router.shared()


def raise_unseen(item: pytest.Item) -> None:
    """Raise the miss of a thread or child of a test that passed without noticing it."""
    router = item.config.stash.get(ROUTER, None)
    if router is None or _RECORDER not in item.stash:
        return
    recorder = item.stash[_RECORDER]
    miss = router.take_unseen(recorder) or recorder.unseen
    if miss is not None:
        raise miss


def raise_checks(item: pytest.Item) -> None:
    """Raise the failed checks of a test that ran to its end, as one failure."""
    case = item.stash.get(CASE, None)
    if case is not None and case.checks:
        pytest.fail(_take_checks(case), pytrace=False)


def annotate(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Note how a phase of a test ended, and shorten the traceback of its failure."""
    error = call.excinfo.value if call.excinfo is not None else None
    if call.when == "call" and _is_end(error) and RECORDING in item.config.stash:
        item.config.stash[RECORDING].ran(item)
    router = item.config.stash.get(ROUTER, None)
    if error is not None and router is not None and _RECORDER in item.stash:
        router.take_unseen(item.stash[_RECORDER])  # the test has failed: one reason is enough
    if call.when == "teardown" and (recorder := item.stash.get(_RECORDER, None)) is not None:
        recorder.begin_again()
    case = item.stash.get(CASE, None)
    if case is not None:
        _note(item, case, call)
    if error is not None and (case is not None or isinstance(error, DSPexError)):
        from pytest_dspex.running.failures import clarify

        clarify(call, full_trace=item.config.getoption("fulltrace", default=False))


def _is_assertion(error: BaseException) -> bool:
    from pytest_dspex.cassettes.lm_recorder import CassetteMiss

    return isinstance(error, _ASSERTIONS) and not isinstance(error, CassetteMiss)


def _is_end(error: BaseException | None) -> bool:
    """Return whether a test that ended with this error ran to its end or to a failed assertion."""
    if error is None:
        return True
    return isinstance(error, AssertionError | pytest.fail.Exception) and not isinstance(error, pytest.xfail.Exception)


def _note(item: pytest.Item, case: Case, call: pytest.CallInfo[None]) -> None:
    """Put the case's current results into the item's user properties, in place of earlier ones."""
    from pytest_dspex.gates.records import PROPERTY
    from pytest_dspex.running.facts import facts_of, report_of
    from pytest_dspex.running.trace import Trace

    if call.when == "setup":
        case.error, case.facts = False, None
        case.attempt += 1
    if call.excinfo is not None and not _is_assertion(call.excinfo.value):
        case.error = True
    if case.checks:  # the test failed before its end, where `raise_checks` reports them
        item.add_report_section(call.when, "checks", _take_checks(case))
    if case.facts is None and (call.when == "call" or call.excinfo is not None):
        recorder = item.stash.get(_RECORDER, None)
        made = recorder.take() if isinstance(recorder, Trace) else ()
        case.facts = facts_of(item, made, has_passed=call.excinfo is None)
    item.user_properties[:] = [pair for pair in item.user_properties if pair[0] != PROPERTY]
    if call.when != "teardown" or call.excinfo is not None:  # the report of the call has it already
        item.user_properties.append(report_of(case).to_property())


def finish(session: pytest.Session) -> None:
    """Write the cassettes; a worker sends its results to the controller."""
    router = session.config.stash.get(ROUTER, None)
    if router is not None and (strays := (router.problems(), router.notes())) != ([], []):
        _recording(session.config).add_strays(*strays)
    recording = session.config.stash.get(RECORDING, None)
    if recording is not None:
        recording.save()
    if is_worker(session.config):
        output = session.config.workeroutput  # type: ignore[attr-defined]  # xdist's, on workers
        collected = session.config.stash.get(COLLECTED, {})
        output[COLLECTED_OUTPUT] = json.dumps({function: facts.to_json() for function, facts in collected.items()})
        if recording is not None:
            output[RECORDING_OUTPUT] = recording.to_json()


def _take_checks(case: Case) -> str:
    failed, case.checks[:] = list(case.checks), []
    return "\n".join([f"{len(failed)} failed checks:", *(f"  - {shown(str(message))}" for message in failed)])
