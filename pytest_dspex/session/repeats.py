"""The verdicts over repeated cases, decided by the process that sees all reports. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.gates.repeats import ATTEMPT_PROPERTY, RepeatedCase, decide_repeats, repeat_from_json
from pytest_dspex.reports.shown import shown_on_a_line
from pytest_dspex.session.gate_reports import report_as_test

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_dspex.gates.repeats import RepeatVerdict

_SHOWN = 5
_OUTCOMES: Mapping[str, Any] = {"passed": "passed", "failed": "failed", "not evaluated": "skipped"}
_MAY_FAIL = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class Repeats:
    """Collects the results of attempts, and reports the verdict of each repeated test as a test of its own."""

    def __init__(self) -> None:
        self._attempts: dict[str, dict[str, dict[int, Mapping[str, Any]]]] = {}  # by test, case and number
        self._lines: dict[str, int | None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the result of an attempt; a rerun replaces the one before it."""
        for name, value in report.user_properties:
            if name == ATTEMPT_PROPERTY:
                found = json.loads(str(value))
                cases = self._attempts.setdefault(found["test"], {})
                cases.setdefault(found["group"], {})[found["number"]] = found
                self._lines[found["test"]] = report.location[1]

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Decide the rules and fail the session if one is not met."""
        for test, cases in sorted(self._attempts.items(), key=self._place):  # workers report in any order
            first = next(iter(next(iter(cases.values())).values()))
            repeat = repeat_from_json(first["repeat"])
            ran = [[one for one in case.values() if one["passed"] is not None] for _, case in sorted(cases.items())]
            skipped = sum(map(len, cases.values())) - sum(map(len, ran))
            if not any(ran):
                continue
            made = [_case(attempts) for attempts in ran if attempts]
            verdict = decide_repeats(repeat, made, expected=first["expected"] - skipped)
            self._report(session, test, verdict)
            if verdict.status == "failed" and session.exitstatus in _MAY_FAIL:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _place(self, found: tuple[str, object]) -> tuple[str, int, str]:
        test = found[0]
        return test.partition("::")[0], self._lines[test] or 0, test

    def _report(self, session: pytest.Session, test: str, verdict: RepeatVerdict) -> None:
        path, _, name = test.partition("::")
        item, line = f"[{verdict.repeat.label}]", self._lines.get(test)
        longrepr: str | tuple[str, int, str] | None = None
        if verdict.status == "failed":
            longrepr = _explanation(verdict)
        elif verdict.status == "not evaluated":
            longrepr = (
                str(session.config.rootpath / path),
                (line or 0) + 1,
                f"Skipped: not evaluated: {verdict.reason}",
            )
        report = pytest.TestReport(
            nodeid=test + item,
            location=(path, line, name.replace("::", ".") + item),
            keywords={},
            outcome=_OUTCOMES[verdict.status],
            longrepr=longrepr,
            when="call",
        )
        report_as_test(session, report)


def _case(attempts: Iterable[Mapping[str, Any]]) -> RepeatedCase:
    ordered = sorted(attempts, key=lambda attempt: attempt["number"])
    passed = sum(attempt["passed"] for attempt in ordered)
    why = next((attempt["why"] for attempt in ordered if not attempt["passed"]), "")
    return RepeatedCase(ordered[0]["case"], len(ordered), passed, why)


def _explanation(verdict: RepeatVerdict) -> str:
    times = verdict.repeat.times
    worst = sorted(verdict.low, key=lambda case: case.passed)
    lines = [
        f"  {shown_on_a_line(case.name)}: {case.passed} of {times} attempts passed{f'  {case.why}' if case.why else ''}"
        for case in worst[:_SHOWN]
    ]
    more = [f"  ... and {len(worst) - _SHOWN} more"] if len(worst) > _SHOWN else []
    return "\n".join([verdict.reason, *lines, *more])
