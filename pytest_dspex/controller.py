"""The process that sees the whole session: alone, or the controller of xdist's workers. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.keys import CONTROLLER, EXPECTED, RECORDING
from pytest_dspex.options import is_worker
from pytest_dspex.recording import ShardCollector
from pytest_dspex.session import SessionResults

if TYPE_CHECKING:
    from collections.abc import Sequence

RESULTS = pytest.StashKey[SessionResults]()


def watch(config: pytest.Config) -> None:
    """Let the controller watch the session from now on; a worker has none."""
    if CONTROLLER not in config.stash and not is_worker(config):
        config.stash[CONTROLLER] = Controller(config)
        config.pluginmanager.register(config.stash[CONTROLLER], "dspex-controller")


class Controller:
    """Hooks that run once a session; those of xdist are called only where it is installed and in use."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._shards = ShardCollector()
        self._problems: list[str] = []
        self._results = config.stash[RESULTS] = SessionResults()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what a case did."""
        self._results.add_report(report)

    def pytest_internalerror(self) -> None:
        """Remember it: under xdist the session may end with 0 nevertheless."""
        self._results.add_internal_error()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Decide the gates."""
        self._shards.merge()
        expected = self._config.stash.get(EXPECTED, None)
        if expected is not None:  # this process has collected
            self._results.add_expected(expected)
        self._results.finish(session)
        if self._problems:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show what was measured."""
        from pytest_dspex.reports.terminal import write

        for problem in self._problems:
            terminalreporter.write_line(f"ERROR: {problem}", red=True)
        summary = self._config.stash[RECORDING].summary() if RECORDING in self._config.stash else None
        if summary:
            self._results.add_note(summary)
        write(terminalreporter, self._results.report())

    def brief(self, node: Any) -> None:
        """Prepare a worker that is about to start: one embedded LM serves all of them."""
        from pytest_dspex.live import share_local

        share_local(self._config)
        self._shards.brief(node.workerinput)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn what the workers are going to run."""
        self._results.add_selected(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker sends at its end; a killed one sends nothing."""
        from pytest_dspex import problems, running

        output = getattr(node, "workeroutput", None)  # xdist sets it only when the worker ended well
        if output is None:
            return
        self._results.add_expected(json.loads(output.get(running.WORKER_KEY, "{}")))
        self._shards.add(output)
        self._problems.extend(problem for problem in output.get(problems.WORKER_KEY, ()) if problem not in self._problems)
