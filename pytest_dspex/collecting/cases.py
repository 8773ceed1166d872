"""The `Case` of each collected test, made before other plugins deselect tests. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import ConfigurationError, Example
from pytest_dspex.collecting.parametrize import data_source
from pytest_dspex.collecting.problems import report_problem
from pytest_dspex.collecting.relevance import LM_FIXTURES, is_relevant
from pytest_dspex.gates.gates import gate_from_marker
from pytest_dspex.keys import CASE, EXPECTED, SIBLINGS
from pytest_dspex.partial import digest
from pytest_dspex.programs import ProgramSpec, visible_programs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_dspex.collecting.parametrize import DataSource


@dataclass(slots=True)
class Case:
    """The plugin's data of one test item, with the values that its fixtures record.

    Args:
        function: The node id of the test function, without the case.
        name: The case's id; empty for a test that is not parametrized.
        source: The test's `dspex_data` marker, if there is one.
        programs: The programs that the test uses.
        predictor: The program that makes the fixture `prediction`, if the test uses that.
        scores: The value and feedback of each score that `score` recorded, by name.
        checks: The messages of the failed checks of `check`.
        evaluations: The results of the fixture `evaluate`, as rows of the report.
        error: Whether the test failed with an error that is not an assertion.
        expected: The collected facts of the function: its cases and gates.
    """

    function: str
    name: str
    source: DataSource | None
    programs: tuple[ProgramSpec, ...]
    predictor: ProgramSpec | None = None
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    error: bool = False
    expected: Mapping[str, Any] = field(default_factory=dict)

    def to_property(self) -> tuple[str, str]:
        """Return the user property for the item's report; its value is a string, as xdist cannot send all types."""
        record = {
            "case": self.name,
            "function": self.function,
            "scores": self.scores,
            "evaluations": self.evaluations,
            "error": self.error,
            "expected": self.expected,  # sent with each report, as a worker that crashes has no output at its end
        }
        return ("dspex", json.dumps(record))


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
