"""`pytest --dspex-merge=PATH`: decide the gates over the results of several sessions. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_dspex import options
from pytest_dspex.gates.own import with_own_gates
from pytest_dspex.gates.settings import gate_settings
from pytest_dspex.partial import Part, files_of, merged
from pytest_dspex.reports import targets, writing
from pytest_dspex.reports.shown import shown
from pytest_dspex.reports.terminal import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_dspex.reports.model import Report


def merge(config: pytest.Config, paths: list[str]) -> pytest.ExitCode:
    """Show all gates, and write the reports; return the exit status, which is `OK` only if every gate passed.

    An inconclusive gate does what the settings say. One that is not evaluated fails: no later session decides it.
    """
    options.configure(config)  # pytest configures its plugins only for sessions that run tests
    targets.configure(config)
    files = files_of(paths)
    parts = [Part.read(file) for file in files]
    report = _with_own_gates(config, merged(parts, root=config.rootpath), parts)
    verdicts = [verdict for suite in report.suites for verdict in suite.verdicts]
    reporter = pytest.TerminalReporter(config)
    config.pluginmanager.register(reporter, "terminalreporter")  # other plugins look it up by this name
    write(reporter, report)
    passed = sum(verdict.status == "passed" for verdict in verdicts)
    settings = gate_settings(config)
    is_green = not any(settings.is_red(verdict) or verdict.status == "not evaluated" for verdict in verdicts)
    is_green &= _write_files(config, reporter, report)
    line = f"{passed} of {len(verdicts)} gates passed, decided over {len(files)} results"
    reporter.write_line(line, green=is_green, red=not is_green)
    if any(verdict.is_usage_error for verdict in verdicts):
        return pytest.ExitCode.USAGE_ERROR
    return pytest.ExitCode.OK if is_green else pytest.ExitCode.TESTS_FAILED


def _write_files(config: pytest.Config, reporter: pytest.TerminalReporter, report: Report) -> bool:
    """Write the reports that `--dspex-report` names; return whether all are written."""
    if not writing.is_asked(config):
        return True
    lines, problems = writing.write(config, report)
    for line in lines:
        reporter.write_line(line)
    for problem in problems:
        reporter.write_line(f"ERROR: {shown(problem)}", red=True)
    return not problems


def _with_own_gates(config: pytest.Config, report: Report, parts: Sequence[Part]) -> Report:
    expected = {function: facts.cases for part in parts for function, facts in part.collected.items()}
    suites = [
        replace(
            suite,
            verdicts=with_own_gates(
                config, suite.test, suite.cases, verdicts=suite.verdicts, expected=expected[suite.test]
            ),
        )
        for suite in report.suites
    ]
    return replace(report, suites=tuple(suites))
