"""The pytest item that recompiles one program before the tests that use it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_dspex.collecting.case import CASE, Case
from pytest_dspex.collecting.problems import report_problem
from pytest_dspex.options import OPTIONS, is_worker

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pytest_dspex.programs import ProgramSpec


def add_optimizations(config: pytest.Config, items: list[pytest.Item]) -> Collection[ProgramSpec]:
    """With `--dspex-optimize`, add an item before the tests for each program to recompile; return these programs."""
    wanted = config.stash[OPTIONS].optimize
    if wanted is None:
        return ()
    users = _users(items, wanted)
    if not users:
        which = f"the @program {wanted!r}" if wanted else "a @program with an optimizer"
        report_problem(config, f"--dspex-optimize: the collected tests do not use {which}; select tests that do")
    added = [_item(spec, tests) for spec, tests in users.items()]
    if config.stash[OPTIONS].plan:
        config.hook.pytest_deselected(items=items[:])
        items.clear()
    items[:0] = added
    if is_worker(config):
        from pytest_dspex.optimizing.sharing import CompileFirst

        config.pluginmanager.register(CompileFirst(dict(zip(users, added, strict=True))), "dspex-compile-first")
    return users.keys()


def _users(items: Iterable[pytest.Item], wanted: str) -> dict[ProgramSpec, list[pytest.Function]]:
    """Return the tests of each program with the name that is wanted, or without one of each that has an optimizer."""
    users: dict[ProgramSpec, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and CASE in item.stash:
            for spec in item.stash[CASE].programs:
                if spec.name == wanted or (not wanted and spec.optimizer is not None):
                    users.setdefault(spec, []).append(item)
    return users


def _item(spec: ProgramSpec, tests: Sequence[pytest.Function]) -> pytest.Function:
    """Return the item; it belongs to the module of the first test, so that it uses this test's fixture `lm`."""

    def optimize(request: pytest.FixtureRequest, dspex_context: None) -> None:  # noqa: ARG001  requested for its effect
        from pytest_dspex.optimizing.running import recompile

        recompile(spec, tests, request)

    module = tests[0].getparent(pytest.Module)
    assert module is not None, "a test function has a module"
    name = f"optimize[{spec.name}]"
    item: pytest.Function = pytest.Function.from_parent(module, name=name, callobj=optimize)
    item.stash[CASE] = Case(function=f"{module.nodeid}::{name}", name="", source=None, programs=())
    return item
