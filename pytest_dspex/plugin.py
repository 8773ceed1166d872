"""The pytest hooks; each delegates at once. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex import options
from pytest_dspex.collecting.problems import with_unreadable
from pytest_dspex.collecting.relevance import any_relevant
from pytest_dspex.fixtures import (
    check,
    dspex_context,
    dspex_request,
    evaluate,
    example,
    judge_lm,
    lm,
    prediction,
    score,
    scripted_lm,
)
from pytest_dspex.hookspecs import specs
from pytest_dspex.keys import COLLECTED_ITEMS, PLACE, PLACES, SIBLINGS, SKIPPED_MODULES
from pytest_dspex.reports import alike, cleaning, targets
from pytest_dspex.running import around as running
from pytest_dspex.running import misses, routing, shared_fixtures

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "check",
    "dspex_context",
    "dspex_request",
    "evaluate",
    "example",
    "judge_lm",
    "lm",
    "prediction",
    "score",
    "scripted_lm",
]


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that other plugins and conftests may implement."""
    pluginmanager.add_hookspecs(specs)
    for name in ("dspex", __name__):  # of the entry point, and of `-p` and `pytest_plugins`: one is there already
        if not pluginmanager.has_plugin(name):
            pluginmanager.set_blocked(name)  # else pytest would register the module once more, and fail


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the command-line options and ini keys."""
    options.add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, parser: pytest.Parser, args: list[str]) -> None:
    """Route all LM calls of the process, those that a conftest makes at its import included."""
    options.keep_paths(early_config, parser, args)
    known = early_config.known_args_namespace
    routing.begin(
        early_config, live=known.dspex_live and not known.dspex_plan, replay_only=known.dspex_record == "none"
    )
    if options.wants_dspy_alias(early_config):
        from pytest_dspex.running.dspy_alias import begin

        begin(early_config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Read the options."""
    options.configure(config)
    if options.has_gates(config):
        from pytest_dspex.gates.settings import check_settings

        check_settings(config)
    if any("[" in argument for argument in config.args):
        from pytest_dspex.gates.selection import run_tests_of_verdicts

        run_tests_of_verdicts(config)
    if hosts := config.getini("dspex_lm_hosts"):
        from pytest_dspex.cassettes.lm_hosts import check_hosts

        check_hosts(hosts)
    targets.configure(config)
    if config.getoption("dspex_rejudge"):
        from pytest_dspex.running import rejudging

        rejudging.configure(config)
    asked = config.stash[options.OPTIONS]
    routing.begin(config, live=asked.live, replay_only=not asked.asks)


def pytest_cmdline_main(config: pytest.Config) -> pytest.ExitCode | None:
    """With `--dspex-init`, write a suite; with `--dspex-merge`, decide the gates of other sessions; run no test."""
    if config.getoption("dspex_init"):
        from pytest_dspex.session.starter import write_starter

        return write_starter(config)
    paths = config.getoption("dspex_merge")
    if not paths:
        return None
    from pytest_dspex.merging import merge

    return merge(config, paths)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Undo the changes to the process."""
    routing.end(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Watch xdist's workers; only they know whether a test uses the plugin."""
    from pytest_dspex.session.controller import CONTROLLER, watch

    watch(node.config)
    node.config.stash[CONTROLLER].brief(node)


@pytest.hookimpl(wrapper=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Generator[None]:
    """Parametrize a test with the rows of its dataset, and after all others with its attempts."""
    if metafunc.definition.get_closest_marker("dspex_data"):
        from pytest_dspex.collecting.parametrize import generate

        generate(metafunc)
    yield
    if metafunc.definition.get_closest_marker("dspex_repeat") or metafunc.config.stash[options.OPTIONS].repeat:
        from pytest_dspex.collecting.repeats import generate_attempts

        generate_attempts(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, object, object]:
    """Note all cases of a test function, before node ids on the command line or `--lf` leave some out, in order."""
    made = yield
    if isinstance(made, list) and made:
        places = made[0].config.stash.setdefault(PLACES, itertools.count())
        for item, place in zip(made, places, strict=False):
            item.stash[SIBLINGS], item.stash[PLACE] = made, place
    return made


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Prepare the tests before other plugins deselect some; then add the items that recompile programs."""
    config.stash[COLLECTED_ITEMS] = list(items)
    if config.stash[options.OPTIONS].prune:
        from pytest_dspex.session.controller import watch

        watch(config)
    if not any_relevant(config, items):
        return (yield)
    from pytest_dspex.collecting.cases import prepare
    from pytest_dspex.collecting.problems import raise_problems
    from pytest_dspex.collecting.repeats import note_whole_cases
    from pytest_dspex.optimizing.in_use import with_artifact
    from pytest_dspex.optimizing.item import add_optimizations
    from pytest_dspex.session.controller import watch

    watch(config)
    prepare(config, items)
    yield
    note_whole_cases(items)
    recompiled = add_optimizations(config, items)
    if compiled := with_artifact(items):
        from pytest_dspex.optimizing.artifacts import check_artifacts  # with the optimizers, which few sessions need

        check_artifacts(config, compiled, recompiled=recompiled)
    raise_problems(config, items)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, object, object]:
    """Make the test's cassette the recorder of its LM calls."""
    with running.around(item, nextitem):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin an attempt at a test, which other plugins may run again."""
    running.begin(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Make the cassette of a shared fixture the recorder of its LM calls."""
    if fixturedef.scope == "function":
        return (yield)
    with shared_fixtures.around_setup(fixturedef, request):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail the test for the checks that failed while it ran."""
    running.show_settings(item)
    result = yield
    misses.raise_unseen(item)
    running.raise_checks(item)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the case's scores to its report, and remove credentials and control characters from the report."""
    cause, miss = None, misses.fail_for(item, call)
    if call.excinfo is not None:
        from pytest_dspex.running.failures import cause_of

        cause = cause_of(item, call.excinfo.value)
    running.annotate(item, call, is_missed=miss is not None)
    attempt = running.attempt_of(item)
    report = yield
    if running.attempt_of(item) != attempt:  # another plugin has run the test again, within this hook
        call = running.call_of(report, call)
        miss = miss or misses.fail_for(item, call)
        running.annotate_again(item, call, report, is_missed=miss is not None)
    report = misses.never_hidden(report, miss)
    report = running.judged_together(item, call, report, is_missed=miss is not None)
    if cause is not None and call.excinfo is not None:
        alike.note(report, cause)
    return cleaning.clean_test_report(report, item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail the collection of a module whose datasets cannot be read; remove credentials from its report."""
    report = with_unreadable((yield), collector)
    if report.skipped:
        collector.config.stash[SKIPPED_MODULES] = True
    return cleaning.clean_collect_report(report, collector)


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain a failed comparison with an evaluation result."""
    from pytest_dspex.running.explain import explain_comparison

    return explain_comparison(op, left, right)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the cassettes."""
    running.finish(session)
