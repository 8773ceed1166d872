"""What the plugin knows of each collected test, settled before deselection. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core.errors import ConfigurationError
from pytest_dspex.gates import gate_from_marker
from pytest_dspex.options import OPTIONS
from pytest_dspex.parametrize import data_source
from pytest_dspex.problems import report_problem
from pytest_dspex.programs import ProgramSpec, visible_programs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_dspex.parametrize import DataSource

# Tests that use one of these, or a program, run with the fixture `lm` as the LM in the settings.
_LM_FIXTURES = frozenset({"lm", "prediction", "evaluate"})


@dataclass(slots=True)
class Case:
    """One test item as the plugin sees it, and what it records while it runs.

    Args:
        function: The node id of the test function, without the case.
        name: The case's id; empty for a test that is not parametrized.
        programs: The programs that the test uses; where it uses `prediction`, the one that makes it.
        scores: What `score` recorded: value and feedback by name.
        checks: The failed checks of `check`.
        evaluations: What the fixture `evaluate` found, as rows of the report.
        error: Whether something other than an assertion failed.
    """

    function: str
    name: str
    source: DataSource | None
    programs: tuple[ProgramSpec, ...]
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    error: bool = False

    def to_property(self) -> tuple[str, str]:
        """Return what travels in the report's user properties; only a string survives the way from a worker."""
        record = {
            "case": self.name,
            "function": self.function,
            "scores": self.scores,
            "evaluations": self.evaluations,
            "error": self.error,
        }
        return ("dspex", json.dumps(record))


CASE = pytest.StashKey[Case]()
EXPECTED = pytest.StashKey["dict[str, Mapping[str, Any]]"]()


def prepare(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each dspex test its `Case` and its context, and count the cases that each gate expects."""
    expected = config.stash.setdefault(EXPECTED, {})
    collected = Counter[str]()
    programs: dict[pytest.Module | None, dict[str, ProgramSpec]] = {}
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        module = item.getparent(pytest.Module)
        if module not in programs:
            programs[module] = visible_programs(item)
        used = [spec for name, spec in programs[module].items() if name in item.fixturenames]
        if not used and not _is_dspex(item):
            continue
        case = item.stash[CASE] = _case(item, used, programs[module])
        if case.programs or _LM_FIXTURES & set(item.fixturenames):
            item.fixturenames.insert(0, "dspex_context")
        collected[case.function] += 1
        rows = case.source.row_count(config) if case.source else 0  # a node id on the command line collects fewer
        gates = expected[case.function]["gates"] if case.function in expected else _gates(item)
        expected[case.function] = {"cases": max(collected[case.function], rows), "gates": gates}


def _is_dspex(item: pytest.Function) -> bool:
    fixtures = _LM_FIXTURES | {"scripted_lm", "score", "check"}
    return bool(fixtures & set(item.fixturenames)) or any(
        item.get_closest_marker(name) for name in ("dspex_data", "dspex_gate")
    )


def _case(item: pytest.Function, used: list[ProgramSpec], visible: dict[str, ProgramSpec]) -> Case:
    callspec = getattr(item, "callspec", None)
    source = None
    try:
        source = data_source(item)
        if source and "prediction" in item.fixturenames:
            used = [_predicting(item, source, used, visible)]
    except ConfigurationError as error:
        report_problem(item.config, str(error))
    return Case(
        function=f"{item.parent.nodeid}::{item.originalname}" if item.parent else item.nodeid,
        name=callspec.id if callspec else "",
        source=source,
        programs=tuple(used),
    )


def _predicting(
    item: pytest.Function, source: DataSource, used: list[ProgramSpec], visible: dict[str, ProgramSpec]
) -> ProgramSpec:
    """Return the program that makes a test's `prediction`: the named one, the one it uses, or the only one."""
    if source.program is not None:
        if source.program in visible:
            return visible[source.program]
        known = ", ".join(sorted(visible)) or "none"
        raise ConfigurationError(f"{item.nodeid}: there is no @program {source.program!r}; there are: {known}")
    candidates = used or list(visible.values())
    if len(candidates) == 1:
        return candidates[0]
    known = ", ".join(sorted(spec.name for spec in candidates)) or "none is defined"
    raise ConfigurationError(
        f"{item.nodeid} uses `prediction`: say which @program makes it with dspex_data(..., program=NAME) ({known})"
    )


def _gates(item: pytest.Function) -> list[dict[str, Any]]:
    gates = []
    for mark in item.iter_markers("dspex_gate"):
        try:
            gates.append(dataclasses.asdict(gate_from_marker(mark, where=item.nodeid)))
        except ConfigurationError as error:
            report_problem(item.config, str(error))
    return gates


def add_optimizations(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `--dspex-optimize`, put one item before the tests for each program that they use."""
    wanted = config.stash[OPTIONS].optimize
    if wanted is None:
        return
    users: dict[ProgramSpec, list[pytest.Function]] = {}
    for item in items:
        if not isinstance(item, pytest.Function) or CASE not in item.stash:
            continue
        for spec in item.stash[CASE].programs:
            if spec.name == wanted or (not wanted and spec.optimizer is not None):
                users.setdefault(spec, []).append(item)
    if not users:
        name = f"named {wanted!r}" if wanted else "with an optimizer"
        report_problem(config, f"--dspex-optimize: the collected tests use no @program {name}")
    from pytest_dspex.optimize_item import optimize_item

    items[:0] = [optimize_item(spec, tests) for spec, tests in users.items()]
