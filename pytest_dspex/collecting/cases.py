"""The `Case` of each collected test, made before other plugins deselect tests. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dspex_core import ConfigurationError
from pytest_dspex.collecting.case import CASE, COLLECTED, Case, combinations_of, other_parameters
from pytest_dspex.collecting.misspelled import report_misspelled
from pytest_dspex.collecting.own_rows import parameters_as_row
from pytest_dspex.collecting.parametrize import row_of
from pytest_dspex.collecting.problems import report_problem
from pytest_dspex.collecting.relevance import LM_FIXTURES, is_relevant
from pytest_dspex.collecting.repeats import attempt_of
from pytest_dspex.gates.grammar import gates_from_marker
from pytest_dspex.gates.records import Collected, digest
from pytest_dspex.gates.settings import session_gates
from pytest_dspex.keys import PLACE, SIBLINGS
from pytest_dspex.programs import ProgramSpec, visible_programs

if TYPE_CHECKING:
    from pytest_dspex.collecting.source import DataSource
    from pytest_dspex.gates.grammar import Gate

_NAMES = pytest.StashKey[tuple[str, str]]()  # of an item, for which they are asked at each phase


def prepare(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each dspex test its `Case` and its context, and count the cases that each gate expects."""
    collected = config.stash.setdefault(COLLECTED, {})
    selected = Counter[str]()
    programs: dict[pytest.Module | None, dict[str, ProgramSpec]] = {}
    functions = [item for item in items if isinstance(item, pytest.Function)]
    for item in sorted(functions, key=_place):
        module = item.getparent(pytest.Module)
        if module not in programs:
            programs[module] = visible_programs(item)
        used = [spec for name, spec in programs[module].items() if name in item.fixturenames]
        if not used and not is_relevant(item):
            continue
        case = item.stash[CASE] = _case(item, used, programs[module])
        case.place = _place(item)
        if case.source is not None and case.source.metrics and "prediction" not in item.fixturenames:
            item.fixturenames.append("prediction")  # pytest has dropped it again if the test does not name it
        uses_lm = case.programs or not LM_FIXTURES.isdisjoint(item.fixturenames)
        if uses_lm and "dspex_context" not in item.fixturenames[:1]:  # the cases of a function share this list
            item.fixturenames.insert(0, "dspex_context")  # sets the fixture `lm` as the LM in the settings
        selected[case.function] += 1
        made = item.stash.get(SIBLINGS, [])  # all cases, as a node id on the command line may select only some
        facts = collected.get(case.function) or _collected(item, made)
        collected[case.function] = replace(facts, cases=max(selected[case.function], len(made)))
    for each in items:
        if CASE in each.stash:
            each.stash[CASE].collected = collected[each.stash[CASE].function]


def _place(item: pytest.Item) -> int:
    """Return the place of an item in the order of collection; other plugins may have shuffled the items by now."""
    return item.stash.get(PLACE, 0)


def _collected(item: pytest.Function, made: list[pytest.Item]) -> Collected:
    report_misspelled(item, made)
    ids = digest(each.nodeid for each in made)
    return Collected(0, ids, (*_gates(item), *session_gates(item.config, item.nodeid)), combinations_of(made))


def _case(item: pytest.Function, used: list[ProgramSpec], visible: dict[str, ProgramSpec]) -> Case:
    row = row_of(item)
    source = row.source if row else None
    example, predictor = (row.example if row else None), None
    try:
        _refuse_unittest(item)
        if "prediction" in item.fixturenames or (source is not None and source.metrics):
            example = example or parameters_as_row(item)
            predictor = _predictor(item, source, used, visible) if example else None
    except ConfigurationError as error:
        report_problem(item.config, str(error))
    attempt = attempt_of(item)
    function = names_of(item)[0]
    return Case(
        function=function,
        name=_case_name(item),
        source=source,
        programs=tuple(dict.fromkeys([*used, *([predictor] if predictor else [])])),
        predictor=predictor,
        example=example,
        repeated=attempt.number if attempt else 0,
    )


def names_of(item: pytest.Item) -> tuple[str, str]:
    """Return the node id of an item's test function, and the id of its case within the function.

    The first attempt at a repeated case has the id that the case has without repeats, and so its recorded calls.
    """
    if _NAMES not in item.stash:
        item.stash[_NAMES] = _names(item)
    return item.stash[_NAMES]


def _names(item: pytest.Item) -> tuple[str, str]:
    if not isinstance(item, pytest.Function) or item.parent is None:
        return item.nodeid, ""
    function = f"{item.parent.nodeid}::{item.originalname}"
    attempt = attempt_of(item)
    name = _case_name(item)
    return function, name if attempt is None or attempt.number == 1 else f"{name}#{attempt.number}"


def _case_name(item: pytest.Function) -> str:
    callspec = getattr(item, "callspec", None)  # of parametrized functions
    if callspec is None:
        return ""
    row = row_of(item)
    if row is not None and not other_parameters(item):
        return row.id  # pytest's own id is this one, escaped
    attempt = attempt_of(item)
    return str(callspec.id if attempt is None else f"-{callspec.id}".removesuffix(f"-{attempt.id}")[1:])


def _refuse_unittest(item: pytest.Function) -> None:
    """Refuse markers on a `unittest.TestCase`, where pytest makes one item of a test, without fixtures.

    Raises:
        ConfigurationError: The test is a method of such a class.
    """
    bases = item.cls.__mro__ if item.cls is not None else ()
    if not any(base.__module__.startswith("unittest") and base.__name__ == "TestCase" for base in bases):
        return
    for name in ("dspex_data", "dspex_repeat"):
        if item.get_closest_marker(name) is not None:
            raise ConfigurationError(
                f"{item.nodeid} is marked with {name}, which has no effect on methods of a unittest.TestCase, as "
                "pytest does not parametrize these; make it a function, or a method of a plain class"
            )


def _predictor(
    item: pytest.Function, source: DataSource | None, used: list[ProgramSpec], visible: dict[str, ProgramSpec]
) -> ProgramSpec:
    """Return the program that makes a test's `prediction`.

    It is the program that the marker names, else the only one that the test uses, else the only visible one.
    """
    if source is not None and source.program is not None:
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


def _gates(item: pytest.Function) -> tuple[Gate, ...]:
    gates: list[Gate] = []
    for mark in reversed([*item.iter_markers("dspex_gate")]):  # pytest lists the one closest to the function first
        try:
            gates += gates_from_marker(mark, where=item.nodeid)
        except ConfigurationError as error:
            report_problem(item.config, str(error))
    return tuple(gates)
