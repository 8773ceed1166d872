"""Each gate, reported as a test: `path::test_fn[gate-accuracy]`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from pytest_dspex.reports.shown import shown_on_a_line
from pytest_dspex.reports.worst import ScoredCase, worst_lines

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_dspex.gates.verdicts import Verdict
    from pytest_dspex.reports.model import Suite

_LOST_SHOWN = 5


def report_gates(session: pytest.Session, suite: Suite, *, line: int | None, red: set[int]) -> None:
    """Report the gates of a suite; `red` are the places of the verdicts that fail the session."""
    for place, verdict in enumerate(suite.verdicts):
        report = _gate_report(suite.test, verdict, line=line, root=session.config.rootpath, is_red=place in red)
        session.testscollected += 1  # otherwise the progress would exceed 100 %
        hook = session.config.hook
        hook.pytest_runtest_logstart(nodeid=report.nodeid, location=report.location)
        hook.pytest_runtest_logreport(report=report)
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


def _gate_report(function: str, verdict: Verdict, *, line: int | None, root: Path, is_red: bool) -> pytest.TestReport:
    path, _, name = function.partition("::")
    item = f"[{shown_on_a_line(verdict.label)}]"
    longrepr: str | tuple[str, int, str] | None = None
    outcome: Literal["passed", "failed", "skipped"] = "passed"
    if is_red:
        outcome, longrepr = "failed", _explanation(verdict)
    elif verdict.status != "passed":
        reason = shown_on_a_line(f"{verdict.status}: {verdict.reason}")
        outcome, longrepr = "skipped", (str(root / path), (line or 0) + 1, f"Skipped: {reason}")
    return pytest.TestReport(
        nodeid=function + item,
        location=(path, line, name.replace("::", ".") + item),
        keywords={},
        outcome=outcome,
        longrepr=longrepr,
        when="call",
    )


def _explanation(verdict: Verdict) -> str:
    """Return the reason of a failed gate and the cases that scored worst."""
    said = verdict.reason if verdict.status == "failed" else f"{verdict.status}: {verdict.reason}"
    cases = [ScoredCase(case.record.name, case.value, case.why) for case in verdict.worst]
    if verdict.gate.is_paired or verdict.gate.wants_less:
        rest = [f"  ... and {len(cases) - _LOST_SHOWN} more"] if len(cases) > _LOST_SHOWN else []
        return "\n".join([shown_on_a_line(said), *(f"  {case}" for case in cases[:_LOST_SHOWN]), *rest])
    return "\n".join([shown_on_a_line(said), *worst_lines(cases, below=verdict.gate.bound)])
