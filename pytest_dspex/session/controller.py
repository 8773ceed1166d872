"""The process that sees the whole session: alone, or the controller of xdist's workers. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.cassettes.recording import Recordings
from pytest_dspex.cassettes.stash import RECORDING
from pytest_dspex.cassettes.upkeep import Upkeep
from pytest_dspex.collecting.agreement import Agreement
from pytest_dspex.collecting.case import COLLECTED
from pytest_dspex.gates.records import Collected
from pytest_dspex.keys import COLLECTED_OUTPUT, NOTES_OUTPUT, OPTIMIZED_OUTPUT, PROBLEMS_OUTPUT, RECORDING_OUTPUT
from pytest_dspex.options import OPTIONS, is_worker
from pytest_dspex.reports import calls, junit, writing
from pytest_dspex.reports.alike import AlikeFailures
from pytest_dspex.reports.shown import shown
from pytest_dspex.session.repeats import Repeats
from pytest_dspex.session.session import SessionResults

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from pytest_dspex.optimizing.results import OptimizeResult
    from pytest_dspex.session.local_host import LocalHost

RESULTS = pytest.StashKey[SessionResults]()


def add_note(config: pytest.Config, note: str) -> None:
    """Add a line to the reports, once; a worker sends it to its controller."""
    if is_worker(config):
        notes = config.workeroutput.setdefault(NOTES_OUTPUT, [])  # type: ignore[attr-defined]  # xdist's, on workers
        if note not in notes:
            notes.append(note)
    else:
        config.stash[RESULTS].add_note(note)


def add_optimization(config: pytest.Config, result: OptimizeResult) -> None:
    """Add a recompiled program to the reports; a worker sends it to its controller."""
    if is_worker(config):
        sent = config.workeroutput.setdefault(OPTIMIZED_OUTPUT, [])  # type: ignore[attr-defined]  # as above
        sent.append(json.dumps(result.to_json()))
    else:
        config.stash[RESULTS].add_optimization(result)


class Controller:
    """Hooks that run once a session; those of xdist are called only if it is in use."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._recordings = Recordings(config)
        self._upkeep = Upkeep(config)
        self._local_host: LocalHost | None = None
        self._problems: list[str] = []  # mistakes that workers have found
        self._agreement = Agreement()
        self._lines: list[str] = []  # about the reports that were written
        self._results = config.stash[RESULTS] = SessionResults()
        self._writes_xml = config.getoption("xmlpath", None) is not None  # `None` with `-p no:junitxml`, too

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the report of a case; other plugins then see its scores as properties."""
        if report.skipped:
            self._upkeep.note_skip()
        self._results.add_report(report)
        junit.show_scores(report, self._results.text_of(report.nodeid), is_read=self._writes_xml)

    def pytest_internalerror(self) -> None:
        """Remember the error, as under xdist the session may still end with exit status 0."""
        self._results.add_internal_error()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None]:
        """Decide the gates before other plugins write their reports; then merge the cassettes."""
        if COLLECTED in self._config.stash:  # this process has collected
            self._results.add_collected(self._config.stash[COLLECTED])
        self._results.finish(session)
        self._write_part(session)
        yield
        if self._local_host is not None:
            self._local_host.close()
        if RECORDING in self._config.stash:
            self._recordings.add(self._config.stash[RECORDING].to_json())
            self._upkeep.add(self._config.stash[RECORDING].to_json())
        self._recordings.merge()
        for note in self._upkeep.notes(session):
            self._results.add_note(note)
        self._write_reports(session)
        if self._problems:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        elif self._recordings.problems and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _write_part(self, session: pytest.Session) -> None:
        path = self._config.stash[OPTIONS].partial
        if path is None or session.config.option.collectonly:
            return
        try:
            written = self._results.part().write(path)
        except OSError as error:
            message = f"--dspex-partial: the results could not be written ({error}); name a path that can be written"
            self._recordings.problems.append(message)
        else:
            advice = f"pytest --dspex-merge={path}"
            self._results.add_note(f"results written to {written}; decide the gates over all results with `{advice}`")

    def _write_reports(self, session: pytest.Session) -> None:
        for note in (*self._recordings.notes, self._recordings.summary()):
            if note:
                self._results.add_note(note)
        if writing.is_asked(self._config) and not session.config.option.collectonly:
            lines, problems = writing.write(self._config, self._results.report())
            self._lines += lines
            self._recordings.problems += problems

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the problems, and the table of scores and gates."""
        from pytest_dspex.reports.terminal import write

        for problem in [*self._problems, *self._recordings.problems]:
            terminalreporter.write_line(f"ERROR: {shown(problem)}", red=True)
        report = self._results.report()
        if self._config.getoption("dspex_show"):
            calls.write(terminalreporter, report)
        write(terminalreporter, report)
        for line in self._lines:
            terminalreporter.write_line(shown(line))

    def brief(self, node: Any) -> None:
        """Prepare a worker that is about to start."""
        self._recordings.brief(node.workerinput)
        if self._config.stash[OPTIONS].asks:
            from pytest_dspex.session.local_host import LocalHost

            self._local_host = self._local_host or LocalHost(self._config)
            self._local_host.brief(node.workerinput)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Note the items that the workers will run."""
        self._results.add_selected(ids)
        self._recordings.expect(ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Add the output that a worker sends at its end; a killed worker sends none."""
        output = getattr(node, "workeroutput", None)  # xdist sets it only if the worker ended normally
        if output is None:
            self._upkeep.note_crash()
            return
        collected = json.loads(output.get(COLLECTED_OUTPUT, "{}"))
        self._results.add_collected({function: Collected.from_json(facts) for function, facts in collected.items()})
        if RECORDING_OUTPUT in output:
            self._recordings.add(output[RECORDING_OUTPUT])
            self._upkeep.add(output[RECORDING_OUTPUT])
            self._recordings.add_shards(output[RECORDING_OUTPUT])
        for note in output.get(NOTES_OUTPUT, ()):
            self._results.add_note(note)
        for text in output.get(OPTIMIZED_OUTPUT, ()):
            from pytest_dspex.optimizing.results import OptimizeResult  # only sessions that recompile have some

            self._results.add_optimization(OptimizeResult.from_json(json.loads(text)))
        self._agreement.add(output)
        found = [*output.get(PROBLEMS_OUTPUT, ()), *self._agreement.problems]
        self._problems += [problem for problem in found if problem not in self._problems]


CONTROLLER = pytest.StashKey[Controller]()


def watch(config: pytest.Config) -> None:
    """Register a controller for the session, if this process is not a worker and has none yet."""
    if CONTROLLER not in config.stash and not is_worker(config):
        config.stash[CONTROLLER] = Controller(config)
        config.pluginmanager.register(config.stash[CONTROLLER], "dspex-controller")
        config.pluginmanager.register(Repeats(), "dspex-repeats")
        config.pluginmanager.register(AlikeFailures(), "dspex-alike-failures")
