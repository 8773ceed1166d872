"""The run of one `optimize[NAME]` item: its budget, its journal, and what it says. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dspex_core import DSPexError, context
from dspex_core.plugin_api import current, error_text
from pytest_dspex.collecting import from_plugins
from pytest_dspex.collecting.case import CASE
from pytest_dspex.collecting.parametrize import rows_of_test
from pytest_dspex.optimizing.artifacts import forget
from pytest_dspex.optimizing.optimize import Job, Optimization, regression_message
from pytest_dspex.optimizing.plan import plan_lines
from pytest_dspex.optimizing.prompts import diff_lines
from pytest_dspex.optimizing.resuming import journal_of
from pytest_dspex.optimizing.sharing import Outcome, outcomes
from pytest_dspex.optimizing.watching import Limit, Watcher
from pytest_dspex.options import OPTIONS
from pytest_dspex.programs import BUILT
from pytest_dspex.reports.shown import shown
from pytest_dspex.running.executor import executor_of
from pytest_dspex.session.controller import add_note, add_optimization
from pytest_dspex.session.live import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dspex_core import Example, Module
    from pytest_dspex.optimizing.results import OptimizeResult, Spent
    from pytest_dspex.programs import ProgramSpec


def recompile(spec: ProgramSpec, tests: Sequence[pytest.Function], request: pytest.FixtureRequest) -> None:
    """Recompile a program, unless a worker of the session has done it; fail the item if that failed.

    Args:
        spec: The program.
        tests: The tests that use it.
        request: That of the item.
    """
    known = outcomes(request.config)
    outcome = known.of(spec)
    if outcome is None:
        outcome = _Run(spec, request.config).outcome(tests)
        known.add(spec, outcome)
    if outcome.failure is not None:  # the message is enough: a traceback would show no line of a test
        pytest.fail(outcome.failure, pytrace=False)


class _Run:
    """One program's recompilation in this process."""

    def __init__(self, spec: ProgramSpec, config: pytest.Config) -> None:
        self._spec = spec
        self._config = config
        self._options = config.stash[OPTIONS]
        self._say = _speaker(config, spec.name)
        self._watcher = Watcher(self._say)
        self._limit = _limit(config)

    def outcome(self, tests: Sequence[pytest.Function]) -> Outcome:
        """Do it, and return what became of it."""
        failure, result = None, None
        try:
            with visible(self._config):
                result = self._result(tests)
        except DSPexError as error:
            failure = self._explained(error)
        if result is not None:
            self._report(result, tests)
            if result.outcome == "regressed":
                failure = regression_message(self._spec, result)
        return Outcome(failure, is_stored=result is not None and result.is_stored, spent=self._asked())

    def _result(self, tests: Sequence[pytest.Function]) -> OptimizeResult | None:
        """Return the result; `None` if only the plan is asked for."""
        built = self._config.stash.setdefault(BUILT, {})
        program = built[self._spec] = built.get(self._spec) or self._spec.build_module()
        spec = _with_rows_of_plugins(self._spec, tests)
        job = Job.of(spec, program, _testset(spec, program, tests, origin=self._spec))
        if self._options.plan:
            self._show_plan(job)
            return None
        optimization = Optimization(
            job,
            self._watcher,
            say=self._say,
            check_limit=self._limit.check if self._limit is not None else lambda: None,
            concurrency=self._options.concurrency,
        )
        listeners = (*current().listeners, self._watcher.listen)
        budget, executor = self._limit or current().budget, executor_of(self._config)
        with self._journaled(), context(listeners=listeners, budget=budget, executor=executor):
            return optimization.run(writes=not self._options.optimize_check)

    @contextmanager
    def _journaled(self) -> Iterator[None]:
        """Keep the answers of a live run in a file until it has come to its decision."""
        if not self._options.live:
            yield
            return
        with closing(journal_of(self._config, self._spec)) as journal:
            if journal.found:
                where = _shown_path(self._config, journal.path)
                found = f"{journal.found} answers are in {where}"
                self._say(f"continuing an interrupted run: {found}, and are not asked again")
            with context(recorder=journal):
                yield
        journal.path.unlink(missing_ok=True)

    def _show_plan(self, job: Job) -> None:
        for line in plan_lines(job):
            self._say(line)
            add_note(self._config, f"optimize {self._spec.name}: {line}")

    def _explained(self, error: DSPexError) -> str:
        """Return the message of a failure; of a budget that ran out, how to go on."""
        if self._limit is None or self._limit.refused is None:
            return error_text(error)
        refused = self._limit.refused
        option = "--dspex-max-calls" if refused.kind == "calls" else "--dspex-max-usd"
        spent = f"{refused.spent:g} of the {refused.limit:g} {refused.kind} that were left"
        return (
            f"BudgetExceededError: {option} is spent ({spent}); nothing was stored. Run it again with a larger limit: "
            "finished calls are not asked again"
        )

    def _asked(self) -> Spent:
        """Return what counts towards the limits of the session."""
        spent = self._watcher.spent
        if self._limit is None:
            return spent
        own = self._limit.spent
        return type(spent)(int(own["calls"]), int(own["tokens"]), own["dollars"])

    def _report(self, result: OptimizeResult, tests: Sequence[pytest.Function]) -> None:
        forget(self._config, self._spec)
        add_optimization(self._config, result)
        lines = [*_lines(result), *self._next_steps(result, tests)]
        for line in [result.line, *diff_lines(result.prompts), *lines]:
            self._say(line)
        for line in [result.line, *lines]:
            add_note(self._config, f"optimize {self._spec.name}: {line}")

    def _next_steps(self, result: OptimizeResult, tests: Sequence[pytest.Function]) -> Iterator[str]:
        """Yield what to record and to commit next."""
        if not result.is_stored:
            return
        artifact = _shown_path(self._config, self._spec.artifact)
        files = " ".join(dict.fromkeys(_shown_path(self._config, test.path) for test in tests))
        if self._options.live or self._options.record == "none":
            advice = f"`pytest --dspex-record=all {files}`"
            yield f"record the new answers with {advice}; commit {artifact} and the cassettes"
        else:
            yield (
                f"commit {artifact} and the cassettes; the cassette optimize-{self._spec.name}.jsonl only serves to "
                "replay this run, and need not be committed"
            )


def _lines(result: OptimizeResult) -> Iterator[str]:
    """Yield what is to be said of a result beside its line."""
    if result.why:
        yield result.why
    if result.outcome == "recompiled":
        yield "the source had changed, so the recompiled program replaces the stored one: it is not worse beyond chance"
    if result.outcome in ("improved", "recompiled") and not result.is_stored:
        yield "nothing was written (--dspex-optimize-check)"
    times = "once" if result.look == 1 else f"{result.look} times"
    yield f"its {result.n} held-out examples have been consulted {times}; {result.spent}"


def _limit(config: pytest.Config) -> Limit | None:
    """Return what is left of the session's limits, if there are any."""
    options, spent = config.stash[OPTIONS], outcomes(config).spent
    if options.max_calls is None and options.max_usd is None:
        return None
    return Limit(
        calls=None if options.max_calls is None else max(0, options.max_calls - spent.calls),
        dollars=None if options.max_usd is None else max(0.0, options.max_usd - spent.dollars),
    )


def _with_rows_of_plugins(spec: ProgramSpec, tests: Sequence[pytest.Function]) -> ProgramSpec:
    """Return the program with the rows that plugins have for its datasets; itself if they have none."""
    named = {"trainset": spec.trainset, "valset": spec.valset, "testset": spec.testset}
    found = {
        name: from_plugins.dataset(dataset, tests[0], spec.folder)
        for name, dataset in named.items()
        if dataset is not None and tests
    }
    return spec if all(found[name] is named[name] for name in found) else replace(spec, **found)


def _testset(
    spec: ProgramSpec, program: Module, tests: Sequence[pytest.Function], *, origin: ProgramSpec
) -> list[Example]:
    """Return the held-out examples: the program's testset, or else the rows of the tests that use the program."""
    if spec.testset is not None:
        return spec.examples(spec.testset, program=program)
    rows = {}
    for test in {test.stash[CASE].function: test for test in tests}.values():
        if test.stash[CASE].predictor in (None, origin):
            rows.update({(row.source.origin, row.example.id): row.example for row in rows_of_test(test)})
    return list(rows.values())


def _shown_path(config: pytest.Config, path: Path) -> str:
    return Path(os.path.relpath(path, config.rootpath)).as_posix()


def _speaker(config: pytest.Config, name: str) -> Callable[[str], None]:
    reporter = config.pluginmanager.getplugin("terminalreporter")

    def say(text: str) -> None:
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(shown(f"optimize {name}: {text}"))

    return say
