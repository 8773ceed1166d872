"""The controller's view of a session: collects the cases' results and decides the gates. PYTEST_DONT_REWRITE

All results arrive in pytest's reports, from this process or from xdist's workers. At the end each
gate is reported like a test, `path::test_fn[gate-accuracy]`, so that the summary, JUnit XML, `--lf`
and other readers of reports include it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from pytest_dspex.gates.baselines import Baselines
from pytest_dspex.gates.own import with_own_gates
from pytest_dspex.gates.records import PROPERTY, CaseRecord, CaseReport, Collected
from pytest_dspex.gates.settings import FLAG, gate_settings, names_no_tests
from pytest_dspex.partial import Part
from pytest_dspex.reports.model import Report, suite_of, with_corrected
from pytest_dspex.reports.shown import shown_briefly
from pytest_dspex.session.baseline_update import update_baselines
from pytest_dspex.session.gate_reports import begin_line, report_gates
from pytest_dspex.session.uncalled import uncalled_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_dspex.gates.records import Evaluation, Outcome
    from pytest_dspex.optimizing.results import OptimizeResult
    from pytest_dspex.reports.model import Suite

_PHASES = ("setup", "call", "teardown")
_ASSERTIONS = ("AssertionError", "assert ")  # pytest shortens "AssertionError: assert 1 == 2"
_MAY_BECOME_RED = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED, pytest.ExitCode.TESTS_FAILED)


class SessionResults:
    """The results of a session; a controller has one."""

    def __init__(self) -> None:
        self._attempts: dict[str, _Attempt] = {}
        self._expected: dict[str, Collected] = {}
        self._selected: dict[str, None] = {}  # node ids in the order of collection
        self._cases: tuple[CaseRecord, ...] = ()
        self._suites: list[Suite] = []
        self._evaluations: list[Evaluation] = []
        self._notes: list[str] = []
        self._optimizations: list[OptimizeResult] = []
        self._lines: dict[str, int | None] = {}  # the line of each test function
        self._has_internal_error = False
        self._has_lost_cases = False
        self._has_red_gate = False
        self._has_unused_gate = False  # on the command line
        self._totals: dict[str, int] = {}  # how many cases each test function has
        self._is_finished = False

    def add_report(self, report: pytest.TestReport) -> None:
        """Add the report of one phase of an item; a rerun replaces the attempt before it."""
        if self._is_finished:  # the report of a gate
            return
        attempt = self._attempts.get(report.nodeid)
        if attempt is None or report.when == "setup":
            attempt = self._attempts[report.nodeid] = _Attempt()
        attempt.add(report)

    def text_of(self, nodeid: str) -> str:
        """Return the text of an item's `CaseReport`; empty if it has sent none."""
        return self._attempts[nodeid].case if nodeid in self._attempts else ""

    def add_collected(self, collected: dict[str, Collected]) -> None:
        """Add the collected facts of test functions; the number of cases includes those that are deselected later."""
        self._expected.update(collected)

    def add_selected(self, nodeids: Iterable[str]) -> None:
        """Add the items that xdist's workers will run; without workers, `finish` adds those of the session."""
        self._selected.update(dict.fromkeys(nodeids))

    def add_note(self, note: str) -> None:
        """Add a line to the reports, unless it is there."""
        if note not in self._notes:
            self._notes.append(note)

    def add_optimization(self, result: OptimizeResult) -> None:
        """Add a program that was recompiled."""
        self._optimizations.append(result)

    def add_internal_error(self) -> None:
        """Note an internal error of pytest: in a worker's last test, xdist would end with exit status 0."""
        self._has_internal_error = True

    def finish(self, session: pytest.Session) -> None:
        """Decide the gates, report each gate as a test, and set the exit status of the session."""
        self._is_finished = True
        if session.config.option.collectonly or session.config.option.setuponly:
            return
        if not self._attempts and self._is_explained(session):  # the collection failed, which pytest reports
            return
        self.add_selected(item.nodeid for item in session.items)
        cases = self._cases_by_function()
        self._cases = tuple(case for each in cases.values() for case in each)
        selected = self._selected_by_function()
        self._baselines = Baselines(session.config.rootpath)
        for function in dict.fromkeys([*self._expected, *cases]):
            if function in cases or function in selected:
                suite = self._suite(session, function, cases.get(function, []), selected.get(function, set()))
                self._suites.append(suite)
        self._suites = [self._with_own_gates(session.config, suite) for suite in with_corrected(self._suites)]
        self._report_gates(session)
        self._note_uncalled(session.config)
        self._update_baselines(session)
        self._set_exit_status(session)

    def _note_uncalled(self, config: pytest.Config) -> None:
        """Note the tests that passed without an LM call; the ini key `dspex_no_calls` may make them a failure."""
        for line in uncalled_lines(self._cases):
            self.add_note(line)
            self._has_red_gate |= gate_settings(config).fails_no_calls

    def _with_own_gates(self, config: pytest.Config, suite: Suite) -> Suite:
        expected = self._totals[suite.test]
        return replace(
            suite,
            verdicts=with_own_gates(config, suite.test, suite.cases, verdicts=suite.verdicts, expected=expected),
        )

    def part(self) -> Part:
        """Return the results for `--dspex-partial`, from which `--dspex-merge` decides the gates."""
        return Part(self._expected, self._cases)

    def report(self) -> Report:
        """Return the content of the session's reports."""
        return Report(
            suites=tuple(self._suites),
            evaluations=tuple(self._evaluations),
            notes=tuple(self._notes),
            optimizations=tuple(self._optimizations),
            lines=self._lines,
            baselines={suite.test: self._before(suite) for suite in self._suites},
        )

    def _before(self, suite: Suite) -> dict[str, dict[str, float]]:
        """Return the values in the baseline of a suite that can be compared with those now, by score and case."""
        sources = [verdict.gate.vs for verdict in suite.verdicts if verdict.gate.is_paired]
        baseline = self._baselines.of(suite.test, sources[0] if sources else "baseline")
        names = [score.name for score in suite.scores if not baseline.difference(score.name, suite.cases)]
        return {name: found for name in names if (found := baseline.scores(name))}

    def _cases_by_function(self) -> dict[str, list[CaseRecord]]:
        cases: dict[str, list[CaseRecord]] = {}
        for nodeid, sent in self._in_order():
            attempt = self._attempts[nodeid]
            if sent is not None and sent.collected is not None:
                self._expected.setdefault(sent.function, sent.collected)
            function = sent.function if sent is not None else self._function_of(nodeid)
            if function is None or attempt.outcome is None:
                continue
            case = sent or CaseReport(function=function, is_error=not attempt.is_assertion)
            cases.setdefault(function, []).append(_record(nodeid, attempt, case))
            self._lines.setdefault(function, attempt.line)
            self._evaluations.extend(case.evaluations)
        return cases

    def _in_order(self) -> Iterable[tuple[str, CaseReport | None]]:
        """Return what the items have sent, in the order in which they were collected.

        Other plugins shuffle them, and workers report in any order; texts and bootstrap samples depend on neither.
        """
        sent = {
            nodeid: CaseReport.from_text(attempt.case) if attempt.case else None
            for nodeid, attempt in self._attempts.items()
        }
        selected = {nodeid: place for place, nodeid in enumerate(self._selected)}

        def place(nodeid: str) -> tuple[bool, int]:
            case = sent[nodeid]
            return (True, selected.get(nodeid, len(selected))) if case is None else (False, case.place)

        return [(nodeid, sent[nodeid]) for nodeid in sorted(sent, key=place)]

    def _selected_by_function(self) -> dict[str, set[str]]:
        selected: dict[str, set[str]] = {}
        for nodeid in self._selected:
            function = self._function_of(nodeid)
            if function is not None:
                selected.setdefault(function, set()).add(nodeid)
        return selected

    def _function_of(self, nodeid: str) -> str | None:
        """Return the expected function to which an item belongs.

        The item's node id is the function's, followed by `[parameters]`, and by `@group` under xdist's
        loadgroup; both characters may also occur in the path.
        """
        ends = [place for place, character in enumerate(nodeid) if character in "[@"]
        return next((nodeid[:end] for end in [*ends, len(nodeid)] if nodeid[:end] in self._expected), None)

    def _suite(self, session: pytest.Session, function: str, cases: list[CaseRecord], selected: set[str]) -> Suite:
        expected = self._expected.get(function, Collected(0, "", ()))
        missing = selected - {case.nodeid for case in cases}
        total = max(expected.cases, len(cases) + len(missing))
        self._totals[function] = total
        suite = suite_of(function, cases, collected=expected, expected=total, baselines=self._baselines)
        if missing and not self._is_explained(session):
            self._has_lost_cases = True
            reason = f"{len(cases)}/{total} cases: {len(missing)} of the selected cases did not report a result"
            if not suite.verdicts:
                self.add_note(f"{function}: {reason}")
            return suite.failed(reason)
        if len(cases) < total:
            why = "the session did not run them" if missing else "the others were not selected"
            verdicts = [
                replace(verdict, reason=f"{verdict.reason}: {why}") if verdict.reason.endswith(" cases") else verdict
                for verdict in suite.verdicts
            ]
            return replace(suite, verdicts=tuple(verdicts))
        return suite

    def _is_explained(self, session: pytest.Session) -> bool:
        """Return whether pytest's output says why selected cases are missing: a stop, an interrupt or a crash."""
        has_crash = any(attempt.has_crashed for attempt in self._attempts.values())
        has_stopped = session.shouldstop or session.shouldfail or session.exitstatus not in _MAY_BECOME_RED
        return bool(has_crash or has_stopped)

    def _report_gates(self, session: pytest.Session) -> None:
        settings = gate_settings(session.config)
        if any(suite.verdicts for suite in self._suites):
            begin_line(session.config)
        for suite in self._suites:
            red = {place for place, verdict in enumerate(suite.verdicts) if settings.is_red(verdict)}
            self._has_red_gate = self._has_red_gate or bool(red)
            report_gates(session, suite, line=self._lines.get(suite.test), red=red)
        decided = {verdict.gate for suite in self._suites for verdict in suite.verdicts}
        for gate in settings.gates:
            if self._suites and gate not in decided:
                self.add_note(f"{gate.source} has a gate on {gate.name!r}, which no test of this session records")
                self._has_unused_gate = self._has_unused_gate or gate.source == FLAG
                self._has_red_gate |= settings.fails_not_evaluated and self._is_whole(session.config)

    def _is_whole(self, config: pytest.Config) -> bool:
        """Return whether all cases of the project ran, so that a score that none recorded is recorded nowhere."""
        ran = {suite.test for suite in self._suites if len(suite.cases) >= self._totals[suite.test]}
        return names_no_tests(config) and ran >= self._expected.keys()

    def _update_baselines(self, session: pytest.Session) -> None:
        if not gate_settings(session.config).updates:
            return
        stopped = "the session ended early" if self._has_lost_cases or self._is_explained(session) else ""
        line, is_done = update_baselines(self._suites, self._totals, self._baselines, stopped=stopped)
        self.add_note(line)
        self._has_red_gate = self._has_red_gate or not is_done

    def _set_exit_status(self, session: pytest.Session) -> None:
        if session.exitstatus not in _MAY_BECOME_RED:
            return
        verdicts = [verdict for suite in self._suites for verdict in suite.verdicts]
        if self._has_internal_error:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
        elif any(verdict.is_usage_error for verdict in verdicts) or self._has_unused_gate:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif self._has_lost_cases or self._has_red_gate:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


@dataclass(slots=True)
class _Attempt:
    """One run of one item, put together from the reports of its phases; unfinished while its outcome is `None`."""

    outcome: Outcome | None = None
    message: str = ""
    case: str = ""  # the text of the `CaseReport`
    line: int | None = None
    is_assertion: bool = True  # whether the failure is an assertion's
    has_crashed: bool = False
    duration: float = 0.0

    def add(self, report: pytest.TestReport) -> None:
        """Add the report of the next phase."""
        self.line = report.location[1]
        self.duration += report.duration
        for name, value in report.user_properties:
            if name == PROPERTY:  # the last one counts: an item keeps those of its earlier attempts
                self.case = str(value)
        if report.when not in _PHASES:  # "???", with which xdist reports the item of a crashed worker
            self.has_crashed, self.outcome = True, None
        elif report.outcome == "failed":
            self.outcome, self.message = ("miss" if report.when == "call" else "error"), _message(report)
            self.is_assertion = self.message.startswith(_ASSERTIONS)
        elif report.outcome == "skipped":
            self.outcome, self.message = ("miss" if hasattr(report, "wasxfail") else "skip"), _message(report)
        elif report.outcome == "passed" and report.when == "call":
            self.outcome = "pass"


def _message(report: pytest.TestReport) -> str:
    """Return the first line of what pytest says about a failure or a skip."""
    if isinstance(report.longrepr, tuple):
        text = report.longrepr[2]
    else:  # representations of some plugins lack `reprcrash`
        crash = getattr(report.longrepr, "reprcrash", None)
        text = str(report.longrepr) if crash is None else crash.message
    return shown_briefly(text.strip().partition("\n")[0])


def _record(nodeid: str, attempt: _Attempt, case: CaseReport) -> CaseRecord:
    assert attempt.outcome is not None
    # The process that ran the case knows the type of the exception; pytest's report has only the message.
    return CaseRecord(
        nodeid=nodeid,
        function=case.function,
        case=case.case,
        outcome="error" if case.is_error and attempt.outcome != "skip" else attempt.outcome,
        scores=case.scores,
        message=attempt.message,
        facts=case.facts,
        attempt=case.attempt,
        is_missed=case.is_missed,
        duration=attempt.duration,
    )
