"""Each gate, reported as a test: `path::test_fn[gate-accuracy]`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Literal

import pytest

from pytest_dspex.reports.explanation import explanation
from pytest_dspex.reports.junit import gate_properties
from pytest_dspex.reports.rerun import Reruns
from pytest_dspex.reports.shown import shown_on_a_line
from pytest_dspex.session import last_failed

if TYPE_CHECKING:
    from pytest_dspex.gates.verdicts import Verdict
    from pytest_dspex.reports.model import Suite


def report_gates(session: pytest.Session, suite: Suite, *, line: int | None, red: set[int]) -> None:
    """Report the gates of a suite; `red` are the places of the verdicts that fail the session."""
    for place, verdict in enumerate(suite.verdicts):
        report = _gate_report(suite.test, verdict, line=line, config=session.config, is_red=place in red)
        report_as_test(session, report)


def report_as_test(session: pytest.Session, report: pytest.TestReport) -> None:
    """Report a verdict as a whole test, with its end, for which JUnit XML and other readers wait."""
    session.testscollected += 1  # otherwise the progress would exceed 100 %
    hook = session.config.hook
    hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
    hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logreport(report=_teardown_of(report))
    hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)


def begin_line(config: pytest.Config) -> None:
    """End the line of the tests, which stops at [100%]; `ensure_newline` works only if it shows their file."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal is None:
        return
    if terminal.currentfspath is None:
        terminal.write_line("")
    else:
        terminal.ensure_newline()


def _gate_report(
    function: str, verdict: Verdict, *, line: int | None, config: pytest.Config, is_red: bool
) -> pytest.TestReport:
    path, _, name = function.partition("::")
    item = f"[{shown_on_a_line(verdict.label)}]"
    longrepr: str | tuple[str, int, str] | None = None
    outcome: Literal["passed", "failed", "skipped"] = "passed"
    if is_red:
        rerun, shows_all = Reruns.of(config).command, config.get_verbosity() > 1
        outcome, longrepr = "failed", explanation(verdict, rerun=rerun, shows_all=shows_all)
        last_failed.remember(config, (case.record.nodeid for case in verdict.worst))
    elif verdict.status != "passed":
        reason = shown_on_a_line(f"{verdict.status}: {verdict.reason}")
        outcome, longrepr = "skipped", (str(config.rootpath / path), (line or 0) + 1, f"Skipped: {reason}")
    return pytest.TestReport(
        nodeid=function + item,
        location=(path, line, name.replace("::", ".") + item),
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when="call",
        user_properties=gate_properties(verdict),
    )


def _teardown_of(report: pytest.TestReport) -> pytest.TestReport:
    """Return the report of the end of a verdict."""
    ended = copy(report)
    ended.when, ended.outcome, ended.longrepr = "teardown", "passed", None
    return ended
