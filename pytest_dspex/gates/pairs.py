"""The combinations of a test's parameters, such as models, compared pair by pair. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from itertools import combinations as pairs_of
from typing import TYPE_CHECKING

from pytest_dspex.gates.scoring import summarize
from pytest_dspex.gates.verdict_groups import combinations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_dspex.gates.records import CaseRecord, Collected
    from pytest_dspex.gates.verdict_groups import Group


@dataclass(frozen=True, slots=True)
class Pairing:
    """One score of two combinations, paired by row; `p_value` is two-sided, adjusted for all pairs of a test."""

    score: str
    first: str
    second: str
    first_mean: float
    second_mean: float
    n: int
    p_value: float


def compare_combinations(
    names: Iterable[str], cases: Sequence[CaseRecord], collected: Collected
) -> tuple[Pairing, ...]:
    """Compare each two combinations of a test's parameters on each of the scores."""
    from dspex_core.plugin_api import holm  # imported only in sessions that have scores

    groups = combinations(cases, collected, expected=len(cases))
    found = [pairing for name in names for pairing in _pairings(name, groups)]
    adjusted = holm([pairing.p_value for pairing in found])
    return tuple(replace(pairing, p_value=p) for pairing, p in zip(found, adjusted, strict=True))


def _pairings(name: str, groups: Sequence[Group]) -> Iterator[Pairing]:
    from dspex_core.plugin_api import compare_scores  # as above

    scores = [_by_row(name, group) for group in groups]
    for (first, before), (second, after) in pairs_of(zip(groups, scores, strict=True), 2):
        if before.keys().isdisjoint(after):
            continue
        compared = compare_scores(before, after, metric=name)
        yield Pairing(
            score=name,
            first=_label(first),
            second=_label(second),
            first_mean=compared.before,
            second_mean=compared.after,
            n=len(compared.pairs),
            p_value=compared.p_value,
        )


def _by_row(name: str, group: Group) -> dict[str, float]:
    """Return the mean of each row, which several attempts may share."""
    values: dict[str, list[float]] = {}
    for case in summarize(name, group.cases).counted:
        values.setdefault(case.record.facts.row_id, []).append(case.value)
    return {row: math.fsum(found) / len(found) for row, found in values.items()}


def _label(group: Group) -> str:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in group.values.items()}
    return ",".join(f"{name}={text}" for name, text in texts.items())
