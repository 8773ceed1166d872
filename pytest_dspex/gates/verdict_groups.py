"""The verdicts of a test function: one of each gate, for each combination of parameters and each slice.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_dspex.gates.decide import decide, verdict_of
from pytest_dspex.gates.drop import decide_drop
from pytest_dspex.gates.scoring import BUILT_IN, summarize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_dspex.gates.baselines import Baselines
    from pytest_dspex.gates.grammar import Gate
    from pytest_dspex.gates.records import CaseRecord, Collected
    from pytest_dspex.gates.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Group:
    """Cases that are decided together, of the `expected` that there are; `values` is what they have in common."""

    values: Mapping[str, Any]
    cases: tuple[CaseRecord, ...]
    expected: int


def decide_all(
    function: str, cases: Sequence[CaseRecord], collected: Collected, *, expected: int, baselines: Baselines
) -> tuple[Verdict, ...]:
    """Decide all gates of a test function, in their order."""
    verdicts = [
        verdict
        for gate in collected.gates
        if not gate.source or gate.name in BUILT_IN or any(gate.name in case.scores for case in cases)
        for group in combinations(cases, collected, pool=(*gate.pool, *gate.by), expected=expected)
        for verdict in _of_combination(function, gate, group, baselines)
    ]
    return tuple(_labelled(verdicts, taken={case.nodeid for case in cases}, function=function))


def combinations(
    cases: Sequence[CaseRecord], collected: Collected, *, pool: Sequence[str] = (), expected: int
) -> list[Group]:
    """Return the cases of each combination of the test's parameters; all, if the parameters are its cases."""
    groups: dict[str, tuple[dict[str, Any], int]] = {}
    for params, count in collected.combinations:
        kept = {name: value for name, value in params.items() if name not in pool}
        key = _key(kept)
        groups[key] = (kept, groups.get(key, (kept, 0))[1] + count)
    if len(groups) < 2:  # noqa: PLR2004  there is nothing to tell apart
        return [Group({}, tuple(cases), expected)]
    members: dict[str, list[CaseRecord]] = {key: [] for key in groups}
    for case in cases:
        kept = {name: value for name, value in case.facts.params.items() if name not in pool}
        members.setdefault(_key(kept), []).append(case)
    return [
        Group(params, tuple(members[key]), max(count, len(members[key]))) for key, (params, count) in groups.items()
    ]


def _of_combination(function: str, gate: Gate, group: Group, baselines: Baselines) -> Iterable[Verdict]:
    unknown = _unknown_column(gate, group.cases)
    if unknown:
        summary = summarize(gate.name, group.cases)
        yield verdict_of(gate, summary, status="failed", reason=unknown, is_usage_error=True)
        return
    is_whole = len(group.cases) >= group.expected
    cases = [case for case in group.cases if all(_is_same(_value(case, name), value) for name, value in gate.where)]
    slices = _slices(gate, cases) if is_whole else [({}, cases)]
    for values, members in slices:
        # without all cases, how many of the others belong to a slice is not known
        expected = len(members) if is_whole else max(group.expected, len(members) + 1)
        if gate.is_paired:
            verdict = decide_drop(gate, members, expected=expected, baseline=baselines.of(function, gate.vs))
        else:
            level = gate.confidence or 0.95
            summary = summarize(gate.name, members, confidence=level, wants_less=gate.wants_less)
            verdict = decide(gate, summary, expected)
        if not is_whole:
            verdict = replace(verdict, status="not evaluated", reason=f"{len(group.cases)}/{group.expected} cases")
        elif not members:
            verdict = replace(verdict, reason=f"no case has {_shown(dict(gate.where))}")
        yield replace(verdict, params=group.values, slice={**dict(gate.where), **values})


def _slices(gate: Gate, cases: Sequence[CaseRecord]) -> list[tuple[dict[str, Any], list[CaseRecord]]]:
    found: dict[str, tuple[dict[str, Any], list[CaseRecord]]] = {}
    for case in cases:
        values = {name: _value(case, name) for name in gate.by}
        found.setdefault(_key(values), (values, []))[1].append(case)
    return [found[key] for key in sorted(found)] or [({}, [])]


def _unknown_column(gate: Gate, cases: Sequence[CaseRecord]) -> str:
    """Return the message for a column or parameter that no case has; empty if each has a value somewhere."""
    for name in gate.columns:
        if cases and not any(name in case.facts.columns or name in case.facts.params for case in cases):
            known = sorted({key for case in cases for key in (*case.facts.row, *case.facts.params)})
            return f"no case has a column or parameter {name!r}; there are: {', '.join(map(repr, known)) or 'none'}"
    return ""


def _value(case: CaseRecord, name: str) -> Any:
    return case.facts.columns.get(name, case.facts.params.get(name))


def _is_same(found: Any, wanted: Any) -> bool:
    """Return whether two values are equal; those in flags are texts, of numbers, too."""
    return bool(found == wanted) or _text(found) == _text(wanted)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _shown(values: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={_text(value)}" for name, value in values.items())


def _key(values: Mapping[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def _labelled(verdicts: Iterable[Verdict], *, taken: set[str], function: str) -> Iterable[Verdict]:
    """Name each verdict as no test item and no other verdict is named: a row may have the id `gate-accuracy`."""
    used = set(taken)
    named = set[str]()
    for verdict in verdicts:
        values = _shown({**verdict.params, **verdict.slice})
        first = f"gate-{verdict.gate.name}"
        kind = f"-{verdict.gate.kind}" if verdict.gate.kind != "min" and f"{first} {values}" in named else ""
        named.add(f"{first} {values}")
        wanted = label = f"{first}{kind}" + (f"-{values}" if values else "")
        number = 2
        while f"{function}[{label}]" in used:
            label, number = f"{wanted}#{number}", number + 1
        used.add(f"{function}[{label}]")
        yield replace(verdict, label=label)
