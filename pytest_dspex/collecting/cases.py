"""The `Case` of each collected test, made before other plugins deselect tests. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import ConfigurationError, Example
from pytest_dspex.collecting.case import CASE, Case
from pytest_dspex.collecting.parametrize import data_source
from pytest_dspex.collecting.problems import report_problem
from pytest_dspex.collecting.relevance import LM_FIXTURES, is_relevant
from pytest_dspex.gates.gates import gate_from_marker
from pytest_dspex.keys import EXPECTED, SIBLINGS
from pytest_dspex.partial import digest
from pytest_dspex.programs import ProgramSpec, visible_programs

if TYPE_CHECKING:
    from pytest_dspex.collecting.parametrize import DataSource


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
        if not used and not is_relevant(item):
            continue
        case = item.stash[CASE] = _case(item, used, programs[module])
        uses_lm = case.programs or not LM_FIXTURES.isdisjoint(item.fixturenames)
        if uses_lm and "dspex_context" not in item.fixturenames[:1]:  # the cases of a function share this list
            item.fixturenames.insert(0, "dspex_context")  # sets the fixture `lm` as the LM in the settings
        collected[case.function] += 1
        made = item.stash.get(SIBLINGS, [])  # all cases, as a node id on the command line may select only some
        facts = expected.get(case.function) or {"gates": _gates(item), "ids": digest(each.nodeid for each in made)}
        cases = max(collected[case.function], len(made))
        expected[case.function] = {**facts, "cases": cases}
    for item in items:
        if CASE in item.stash:
            item.stash[CASE].expected = expected[item.stash[CASE].function]


def _case(item: pytest.Function, used: list[ProgramSpec], visible: dict[str, ProgramSpec]) -> Case:
    source = predictor = None
    try:
        source = data_source(item)
        if source and "prediction" in item.fixturenames:
            predictor = _predictor(item, source, used, visible)
    except ConfigurationError as error:
        report_problem(item.config, str(error))
    function, name = names_of(item)
    return Case(
        function=function,
        name=name,
        source=source,
        programs=tuple(dict.fromkeys([*used, *([predictor] if predictor else [])])),
        predictor=predictor,
    )


def names_of(item: pytest.Item) -> tuple[str, str]:
    """Return the node id of an item's test function, and the id of its case within the function."""
    if not isinstance(item, pytest.Function) or item.parent is None:
        return item.nodeid, ""
    function = f"{item.parent.nodeid}::{item.originalname}"
    callspec = getattr(item, "callspec", None)  # of parametrized functions
    if callspec is None:
        return function, ""
    example = callspec.params.get("example")
    if len(callspec.params) == 1 and isinstance(example, Example):
        return function, str(example.id)  # pytest's own id is this one, escaped
    return function, callspec.id


def _predictor(
    item: pytest.Function, source: DataSource, used: list[ProgramSpec], visible: dict[str, ProgramSpec]
) -> ProgramSpec:
    """Return the program that makes a test's `prediction`.

    It is the program that the marker names, else the only one that the test uses, else the only visible one.
    """
    if source.program is not None:
        if source.program in visible:
            return visible[source.program]
        known = ", ".join(sorted(visible)) or "none is defined"
        raise ConfigurationError(
            f"{item.nodeid}: @program {source.program!r} is not defined in its module or conftests; programs: {known}"
        )
    candidates = used or list(visible.values())
    if len(candidates) == 1:
        return candidates[0]
    known = ", ".join(sorted(spec.name for spec in candidates)) or "none is defined"
    raise ConfigurationError(
        f"{item.nodeid} uses the fixture `prediction`, which needs one @program; "
        f"name it with dspex_data(..., program=NAME); programs: {known}"
    )


def _gates(item: pytest.Function) -> list[dict[str, Any]]:
    gates = []
    for mark in item.iter_markers("dspex_gate"):
        try:
            gates.append(gate_from_marker(mark, where=item.nodeid).to_json())
        except ConfigurationError as error:
            report_problem(item.config, str(error))
    return gates
