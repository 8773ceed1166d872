"""The recorder, the checks and the report of each running test. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from typing import TYPE_CHECKING

import pytest

from dspex_core import DSPexError, configure, context
from dspex_core.plugin_api import ignore_foreign_warnings
from pytest_dspex.cassettes.stash import RECORDING
from pytest_dspex.collecting.case import CASE, COLLECTED
from pytest_dspex.keys import COLLECTED_OUTPUT, NEXT_ITEM, RECORDING_OUTPUT
from pytest_dspex.options import OPTIONS, is_worker
from pytest_dspex.reports.shown import shown
from pytest_dspex.running.recorders import ATTEMPTED, RECORDER, let_go, recorder_for, recording_of
from pytest_dspex.running.routing import ROUTER, SESSION_CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_dspex.collecting.case import Case

_RUNS = pytest.StashKey[bool]()  # of an item that has begun, and whose teardown is not reported
_FIRST = pytest.StashKey[dict[str, pytest.Item]]()  # of each test function of which a case has begun
_ASSERTIONS = (AssertionError, pytest.fail.Exception, pytest.skip.Exception, pytest.xfail.Exception)


@contextmanager
def around(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Make the item's recorder that of all LM calls, including those of its fixtures."""
    item.stash[NEXT_ITEM] = nextitem
    ignore_foreign_warnings()  # pytest has just reset the filters, and predictions are made ahead in other threads
    recorder, router = recorder_for(item), item.config.stash.get(ROUTER, None)
    routed = router.running(recorder, item.nodeid) if router is not None else nullcontext()
    with context(recorder=recorder), routed:
        if SESSION_CACHE in item.config.stash:  # in place of one that the tests' modules have set
            configure(cache=item.config.stash[SESSION_CACHE])
        yield
    if RECORDING in item.config.stash:
        item.config.stash[RECORDING].save_early(item, nextitem)
    if (case := item.stash.get(CASE, None)) is not None:
        let_go(item)
        case.let_go()


def show_settings(item: pytest.Item) -> None:
    """Run an `IsolatedAsyncioTestCase` in the context of now: its own is a copy from before the test's fixtures."""
    kind, cases = getattr(item, "cls", None), sys.modules.get("unittest.async_case")
    if cases is not None and kind is not None and issubclass(kind, cases.IsolatedAsyncioTestCase):
        item.instance._asyncioTestContext = copy_context()  # type: ignore[attr-defined]  # noqa: SLF001  no other way in


def begin(item: pytest.Item) -> None:
    """Forget what an earlier attempt at the test has recorded, and in a live session the replies that it got."""
    case = item.stash.get(CASE, None)
    if item.stash.get(_RUNS, False):  # it is run again before its teardown is reported, as pytest-retry does
        _forget_calls(item)
        if case is not None:
            _begin_attempt(case)
    item.stash[_RUNS] = True
    if case is not None:
        case.begin()
    if ATTEMPTED in item.stash and item.config.stash[OPTIONS].live:
        from dspex_core import ResponseCache  # only reruns in live sessions need it

        configure(cache=ResponseCache(keeps_cost=True))
    item.stash[ATTEMPTED] = True


def judged_together(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, *, is_missed: bool
) -> pytest.TestReport:
    """Return the report of a test; that of an attempt at a repeated case is judged with the others.

    A request that is not recorded stays a failure.
    """
    case = item.stash.get(CASE, None)
    if case is None or not case.repeated or is_missed:
        return report
    from pytest_dspex.running.attempts import judge_together  # imported only in sessions with repeats

    return judge_together(item, call, report)


def raise_checks(item: pytest.Item) -> None:
    """Raise the failed checks of a test that ran to its end, as one failure."""
    case = item.stash.get(CASE, None)
    if case is not None and case.checks:
        pytest.fail(_take_checks(case), pytrace=False)


def annotate(item: pytest.Item, call: pytest.CallInfo[None], *, is_missed: bool) -> None:
    """Note how a phase of a test ended, and shorten the traceback of its failure."""
    error = call.excinfo.value if call.excinfo is not None else None
    if call.when == "call" and _is_end(error) and RECORDING in item.config.stash:
        item.config.stash[RECORDING].ran(item, has_failed=error is not None)
    if call.when == "teardown":
        item.stash[_RUNS] = False
        _forget_calls(item)
    case = item.stash.get(CASE, None)
    if case is not None:
        _note(item, case, call, is_missed=is_missed)
    if error is not None and (case is not None or isinstance(error, DSPexError)):
        from pytest_dspex.running.failures import clarify

        clarify(call, full_trace=item.config.getoption("fulltrace", default=False))


def attempt_of(item: pytest.Item) -> int:
    """Return which attempt at a test runs, from 1; 0 for a test without a case."""
    case = item.stash.get(CASE, None)
    return 0 if case is None else case.attempt


def call_of(report: pytest.TestReport, call: pytest.CallInfo[None]) -> pytest.CallInfo[None]:
    """Return the call of a test's last attempt, of which another plugin has kept the outcome only."""
    return pytest.CallInfo.from_call(lambda: None, when="call") if report.passed else call


def annotate_again(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, *, is_missed: bool
) -> None:
    """Note how the last attempt at a test ended, in its report in place of the attempt before."""
    annotate(item, call, is_missed=is_missed)
    report.user_properties = list(item.user_properties)


def _forget_calls(item: pytest.Item) -> None:
    """Count a test's calls anew, as it may be run again."""
    if (recorder := item.stash.get(RECORDER, None)) is not None:
        recorder.begin_again()
        if (router := item.config.stash.get(ROUTER, None)) is not None:
            router.lanes.begin_again(recorder)


def _begin_attempt(case: Case) -> None:
    case.error = case.is_missed = False
    case.facts = None
    case.attempt += 1


def _is_end(error: BaseException | None) -> bool:
    """Return whether a test that ended with this error ran to its end or to a failed assertion."""
    if error is None:
        return True
    return isinstance(error, AssertionError | pytest.fail.Exception) and not isinstance(error, pytest.xfail.Exception)


def _note(item: pytest.Item, case: Case, call: pytest.CallInfo[None], *, is_missed: bool) -> None:
    """Put the case's current results into the item's user properties, in place of earlier ones."""
    has_failed = call.excinfo is not None
    if call.when == "setup":
        _begin_attempt(case)
    if call.excinfo is not None and (is_missed or not isinstance(call.excinfo.value, _ASSERTIONS)):
        case.error = True
        case.is_missed = is_missed
    is_ready = call.when == "setup" and not has_failed  # checks of its fixtures are raised after its call
    if case.checks and not is_ready:  # the test failed before its end, where `raise_checks` reports them
        item.add_report_section(call.when, "checks", _take_checks(case))
    if item.user_properties:
        from pytest_dspex.gates.records import PROPERTY

        item.user_properties[:] = [pair for pair in item.user_properties if pair[0] != PROPERTY]
    is_over = call.when == "call" or has_failed
    if is_over or (call.when == "setup" and _is_first(item, case)):
        item.user_properties.append(_results(item, case, is_over=is_over, has_failed=has_failed))


def _results(item: pytest.Item, case: Case, *, is_over: bool, has_failed: bool) -> tuple[str, str]:
    """Return the user property with the case's current results."""
    from pytest_dspex.running.facts import facts_of, report_of
    from pytest_dspex.running.redaction import redacted_report
    from pytest_dspex.running.trace import Trace

    if is_over and case.facts is None:
        recorder = item.stash.get(RECORDER, None)
        made = recorder.take() if isinstance(recorder, Trace) else ()
        case.facts = facts_of(item, made, has_passed=not has_failed)
    return redacted_report(report_of(case, is_first=_is_first(item, case)), item.config).to_property()


def _is_first(item: pytest.Item, case: Case) -> bool:
    """Return whether a case is the first of its function in this process, which may crash before a case has run."""
    return item.config.stash.setdefault(_FIRST, {}).setdefault(case.function, item) is item


def finish(session: pytest.Session) -> None:
    """Write the cassettes; a worker sends its results to the controller."""
    router = session.config.stash.get(ROUTER, None)
    if router is not None and (strays := (router.problems(), router.notes())) != ([], []):
        recording_of(session.config).add_strays(*strays)
    recording = session.config.stash.get(RECORDING, None)
    if recording is None and session.config.stash[OPTIONS].prune:
        recording = recording_of(session.config)
    if recording is not None:
        recording.note_end(session)
        recording.save()
    if is_worker(session.config):
        output = session.config.workeroutput  # type: ignore[attr-defined]  # xdist's, on workers
        collected = session.config.stash.get(COLLECTED, {})
        output[COLLECTED_OUTPUT] = json.dumps({function: facts.to_json() for function, facts in collected.items()})
        if collected:
            from pytest_dspex.collecting.agreement import send_digests  # only sessions with cases have rows

            send_digests(session.config)
        if recording is not None:
            output[RECORDING_OUTPUT] = recording.to_json()


def _take_checks(case: Case) -> str:
    failed, case.checks[:] = list(case.checks), []
    return "\n".join([f"{len(failed)} failed checks:", *(f"  - {shown(str(message))}" for message in failed)])
