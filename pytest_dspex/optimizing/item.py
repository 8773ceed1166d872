"""The pytest item that recompiles one program before the tests that use it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dspex.collecting.case import CASE, Case
from pytest_dspex.collecting.parametrize import rows_of_test
from pytest_dspex.collecting.problems import report_problem
from pytest_dspex.optimizing.artifacts import forget
from pytest_dspex.options import OPTIONS
from pytest_dspex.programs import BUILT
from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dspex_core import Example, Module
    from dspex_core.plugin_api import Event
    from pytest_dspex.programs import ProgramSpec


def add_optimizations(config: pytest.Config, items: list[pytest.Item]) -> Collection[ProgramSpec]:
    """With `--dspex-optimize`, add an item before the tests for each program to recompile; return these programs."""
    wanted = config.stash[OPTIONS].optimize
    if wanted is None:
        return ()
    users: dict[ProgramSpec, list[pytest.Function]] = {}
    for item in items:
        if not isinstance(item, pytest.Function) or CASE not in item.stash:
            continue
        for spec in item.stash[CASE].programs:
            if spec.name == wanted or (not wanted and spec.optimizer is not None):
                users.setdefault(spec, []).append(item)
    if not users:
        which = f"the @program {wanted!r}" if wanted else "a @program with an optimizer"
        report_problem(config, f"--dspex-optimize: the collected tests do not use {which}; select tests that do")
    items[:0] = [_item(spec, tests) for spec, tests in users.items()]
    return users.keys()


def _item(spec: ProgramSpec, tests: Sequence[pytest.Function]) -> pytest.Function:
    """Return the item; it belongs to the module of the first test, so that it uses this test's fixture `lm`."""

    def optimize(request: pytest.FixtureRequest, dspex_context: None) -> None:  # noqa: ARG001  requested for its effect
        _run(spec, tests, request)

    module = tests[0].getparent(pytest.Module)
    assert module is not None, "a test function has a module"
    name = f"optimize[{spec.name}]"
    item: pytest.Function = pytest.Function.from_parent(module, name=name, callobj=optimize)
    item.stash[CASE] = Case(function=f"{module.nodeid}::{name}", name="", source=None, programs=())
    return item


def _run(spec: ProgramSpec, tests: Sequence[pytest.Function], request: pytest.FixtureRequest) -> None:
    from dspex_core import DSPexError, context
    from dspex_core.plugin_api import current
    from pytest_dspex.optimizing.optimize import optimize, regression_message
    from pytest_dspex.session.controller import RESULTS
    from pytest_dspex.session.live import visible

    say = _speaker(request.config, spec.name)
    try:
        listeners = (*current().listeners, _candidate_listener(say))
        with visible(request.config), context(listeners=listeners):
            built = request.config.stash.setdefault(BUILT, {})
            program = built[spec] = built.get(spec) or spec.build_module()
            optimized = optimize(
                spec,
                program,
                testset=_testset(spec, program, tests),
                concurrency=request.config.stash[OPTIONS].concurrency,
                say=say,
            )
    except DSPexError as error:  # its message is enough: a traceback would show no line of a test
        raise pytest.fail.Exception(f"{type(error).__name__}: {error}", pytrace=False) from None
    forget(request.config, spec)
    say(str(optimized))
    request.config.stash[RESULTS].add_note(f"optimize {spec.name}: {optimized}")
    if optimized.comparison.outcome == "regressed":
        pytest.fail(regression_message(spec, optimized), pytrace=False)


def _testset(spec: ProgramSpec, program: Module, tests: Sequence[pytest.Function]) -> list[Example]:
    """Return the held-out examples: the program's testset, or else the rows of the tests that use the program."""
    if spec.testset is not None:
        return spec.examples(spec.testset, program=program)
    rows = {}
    for test in {test.stash[CASE].function: test for test in tests}.values():
        if test.stash[CASE].predictor in (None, spec):
            rows.update({(row.source.origin, row.example.id): row.example for row in rows_of_test(test)})
    return list(rows.values())


def _speaker(config: pytest.Config, name: str) -> Callable[[str], None]:
    reporter = config.pluginmanager.getplugin("terminalreporter")

    def say(text: str) -> None:
        if reporter is not None:
            reporter.ensure_newline()
            reporter.write_line(shown(f"optimize {name}: {text}"))

    return say


def _candidate_listener(say: Callable[[str], None]) -> Callable[[Event], None]:
    def listen(event: Event) -> None:
        if event.name == "dspex.candidate.stop":
            facts = event.attributes
            say(f"candidate {facts['number']} of {facts['total']}: {facts['score']:.3f} (best {facts['best']:.3f})")

    return listen
