"""Requests that are not recorded, in tests that hide the failure. PYTEST_DONT_REWRITE

A miss ends a test as `pytest.fail` does. But a program may swallow any exception (`except BaseException`,
`asyncio.gather(return_exceptions=True)`), and a test may expect to fail (`xfail`). Without the recorded replies neither
has tested anything, so a miss fails its test whatever happens to the exception.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dspex.running.recorders import RECORDER
from pytest_dspex.running.refusals import RefusedCalls
from pytest_dspex.running.routing import ROUTER

if TYPE_CHECKING:
    from pytest_dspex.cassettes.live_recorder import LiveRecorder
    from pytest_dspex.cassettes.lm_recorder import CassetteRecorder
    from pytest_dspex.running.recorders import OnDemand
    from pytest_dspex.running.routing import Router
    from pytest_dspex.running.trace import Trace

    ItemRecorder = Trace | CassetteRecorder | LiveRecorder | OnDemand

_IS_REPORTED = pytest.StashKey[bool]()  # of an item: its other threads may miss later, in the next phase
_NOT_FAILURES = (pytest.skip.Exception, pytest.xfail.Exception)


def raise_unseen(item: pytest.Item) -> None:
    """Raise the miss of a test that passed without noticing it."""
    if (miss := _take(item)) is not None:
        raise miss


def take_of(recorder: ItemRecorder, router: Router | None) -> BaseException | None:
    """Return the first miss of a recorder, in a thread or elsewhere, once."""
    in_thread = None if router is None else router.take_unseen(recorder)
    anywhere = recorder.take_miss()  # taken in any case: one reason is enough
    return in_thread or anywhere


def fail_for(item: pytest.Item, call: pytest.CallInfo[None]) -> BaseException | None:
    """Return the miss that a phase of a test had, and make it the phase's error if there is no other failure."""
    error = call.excinfo.value if call.excinfo is not None else None
    hidden = _take(item)
    if call.when == "setup":
        item.stash[_IS_REPORTED] = False
    miss = _as_miss(error) or (None if item.stash.get(_IS_REPORTED, False) else hidden)
    if miss is None:
        return None
    item.stash[_IS_REPORTED] = True
    if error is None or isinstance(error, _NOT_FAILURES):
        call.excinfo = pytest.ExceptionInfo.from_exception(miss)
    elif str(miss) not in str(error):
        item.add_report_section(call.when, "request that is not recorded", str(miss))
    return miss


def _as_miss(error: BaseException | None) -> BaseException | None:
    """Return an error that is a miss: of a shared fixture, which has a recorder of its own."""
    if not isinstance(error, pytest.fail.Exception):
        return None
    from pytest_dspex.cassettes.lm_recorder import CassetteMiss  # imported only where a test failed so

    return error if isinstance(error, CassetteMiss | RefusedCalls) else None


def never_hidden(report: pytest.TestReport, miss: BaseException | None) -> pytest.TestReport:
    """Return the report of a phase as failed if it had a miss: no `xfail` is about one."""
    if miss is not None and not report.failed:
        report.outcome = "failed"
        vars(report).pop("wasxfail", None)
        report.longrepr = str(miss)
    return report


def _take(item: pytest.Item) -> BaseException | None:
    recorder = item.stash.get(RECORDER, None)
    return None if recorder is None else take_of(recorder, item.config.stash.get(ROUTER, None))
