"""Node ids of verdicts on the command line, as reports name them: their tests run, since all cases decide a gate.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_VERDICT = re.compile(r"(gate-.*|repeat-\d+/\d+|pass@\d+|pass\^\d+)\]", re.DOTALL)
_MAY_BECOME_RED = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A verdict that the command line names: the test's part of the argument, and the verdict's label."""

    test: str
    label: str

    @classmethod
    def of(cls, argument: str) -> Self | None:
        test, _, rest = argument.partition("[")
        return cls(test, rest.removesuffix("]")) if "::" in test and _VERDICT.fullmatch(rest) else None

    def is_of(self, nodeid: str) -> bool:
        """Return whether a node id is one of the test; paths on the command line are relative to anything."""
        path, _, inside = nodeid.partition("::")
        file, _, name = self.test.partition("::")
        return PurePath(path).name == PurePath(file).name and inside.partition("[")[0] == name

    def __str__(self) -> str:
        return f"{self.test}[{self.label}]"


def run_tests_of_verdicts(config: pytest.Config) -> None:
    """Replace the node ids of verdicts among a session's arguments by those of their tests."""
    asked = [_Asked.of(argument) for argument in config.args]
    found = [each for each in asked if each is not None]
    if not found:
        return
    tests = [argument if each is None else each.test for argument, each in zip(config.args, asked, strict=True)]
    config.args[:] = dict.fromkeys(tests)
    config.pluginmanager.register(_Watch(found), "dspex-asked-verdicts")


class _Watch:
    """Fails a session without the verdicts that were asked for."""

    def __init__(self, asked: list[_Asked]) -> None:
        self._asked = asked
        self._seen: dict[str, None] = {}  # the node ids of all verdicts and tests that were reported

    def pytest_report_header(self) -> list[str]:
        return [f"{each}: decided on all cases of its test, which run" for each in self._asked]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seen[report.nodeid] = None

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus in _MAY_BECOME_RED and any(self._missing(session.config)):
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for line in self._missing(terminalreporter.config):
            terminalreporter.write_line(f"ERROR: {line}", red=True)

    def _missing(self, config: pytest.Config) -> Iterator[str]:
        """Yield a line for each verdict that no report is about, unless no test was to run."""
        if config.option.collectonly:
            return
        for each in self._asked:
            of_test = [nodeid for nodeid in self._seen if each.is_of(nodeid)]
            labels = [nodeid.partition("[")[2].removesuffix("]") for nodeid in of_test]
            if of_test and each.label not in labels:
                known = ", ".join(repr(label) for label in labels if _VERDICT.fullmatch(f"{label}]"))
                yield f"{each.test} has no verdict {each.label!r}; it has: {known or 'none'}"
