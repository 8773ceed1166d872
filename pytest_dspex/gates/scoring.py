"""One score over the cases of a test: what each case counts, the mean and its interval. PYTEST_DONT_REWRITE

A case that failed with an error, or ran and did not record the score, counts as 0, or as the lowest recorded value if
that is below 0. Where less of a score is better, it counts as infinite. Skipped cases are left out and reported.
`errors`, `calls`, `tokens`, `cost` and `latency` are scores of every case that need not be recorded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dspex_core.plugin_api import Interval
    from pytest_dspex.gates.records import CaseRecord

BUILT_IN: dict[str, Callable[[CaseRecord], float | None]] = {
    "errors": lambda case: float(case.outcome == "error"),
    "calls": lambda case: float(case.facts.spent.calls),
    "tokens": lambda case: float(case.facts.spent.prompt_tokens + case.facts.spent.completion_tokens),
    "cost": lambda case: case.facts.spent.cost,
    "latency": lambda case: case.facts.spent.latency,
}
_OF_CALLS = ("tokens", "cost", "latency")
_UNKNOWN = {
    "cost": "the price of the model is not known",
    "latency": "the cassette does not hold it; record it with --dspex-record=all",
}


class CountedCase(NamedTuple):
    """The value with which a case enters the mean, and the reason for the value."""

    record: CaseRecord
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """One score over the cases of a test; `mean` and `interval` (95 %) are `None` if all cases were skipped.

    `n` is the number of cases in the mean: all but the `skipped` ones. It includes the `errors` and the
    cases that ran and did not record this score (`unrecorded`), each with the worst value. `rows` is smaller if some of
    them are attempts at one row: the interval is that of the rows. `unknown` is why a score that is not recorded by the
    test cannot be computed.
    """

    name: str
    mean: float | None
    interval: Interval | None
    n: int
    rows: int
    errors: int
    unrecorded: int
    skipped: int
    counted: tuple[CountedCase, ...]
    unknown: str = ""

    @property
    def shown_n(self) -> str:
        """The number of cases, as a reason has it: rows and attempts, where these differ."""
        return f"n={self.n}" if self.rows == self.n else f"n={self.rows} rows, {self.n} attempts"

    @property
    def values(self) -> list[float]:
        """The value of each counted case."""
        return [case.value for case in self.counted]


def summarize(
    name: str, cases: Sequence[CaseRecord], *, confidence: float = 0.95, wants_less: bool = False
) -> ScoreSummary:
    """Return a score over the cases that were not skipped; `wants_less` says which values are worse."""
    ran = [case for case in cases if case.outcome != "skip"]
    is_recorded = any(name in case.scores for case in cases)
    if name in BUILT_IN and not is_recorded:
        counted, unknown = _built_in(name, ran)
        errors = unrecorded = 0
    else:
        counted, unknown = _recorded(name, ran, wants_less=wants_less), ""
        errors = sum(case.outcome == "error" for case in ran)
        unrecorded = sum(name not in case.scores for case in ran if case.outcome != "error")
    values = [case.value for case in counted]
    is_finite = bool(values) and all(map(math.isfinite, values))
    rows = by_row((case.record, case.value) for case in counted)
    return ScoreSummary(
        name=name,
        mean=statistic("mean", values) if values else None,
        interval=_interval(tuple(map(tuple, rows.values())), confidence) if is_finite else None,
        n=len(counted),
        rows=len(rows),
        errors=errors,
        unrecorded=unrecorded,
        skipped=len(cases) - len(ran),
        counted=counted,
        unknown=unknown,
    )


def row_of(record: CaseRecord) -> str:
    """Return what all attempts at one row of a test have in common."""
    return record.facts.row_id or record.case


def by_row(values: Iterable[tuple[CaseRecord, float]]) -> dict[str, list[float]]:
    """Return the values of each row, of which a test may make several attempts, in the order of the first of each."""
    rows: dict[str, list[float]] = {}
    for record, value in values:
        rows.setdefault(row_of(record), []).append(value)
    return rows


@lru_cache(maxsize=32)
def _interval(rows: tuple[tuple[float, ...], ...], confidence: float) -> Interval:
    """Return the interval of a mean: once for a gate and the table of scores, as a bootstrap takes long."""
    from dspex_core.plugin_api import clustered_interval  # imported only in sessions that have scores

    return clustered_interval(rows, confidence=confidence)


def statistic(stat: str, values: Sequence[float]) -> float:
    """Return a statistic of values; `p95` is the value that 95 % of them do not exceed."""
    if stat == "mean":
        return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values) / len(values)
    if stat == "sum":
        return sum(values)
    if stat in ("min", "max"):
        return min(values) if stat == "min" else max(values)
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * int(stat[1:]) / 100), 1) - 1]


def _recorded(name: str, cases: Sequence[CaseRecord], *, wants_less: bool) -> tuple[CountedCase, ...]:
    finite = [
        case.scores[name].value for case in cases if name in case.scores and math.isfinite(case.scores[name].value)
    ]
    worst = math.inf if wants_less else min(0.0, *finite) if finite else 0.0
    return tuple(_count(case, name, worst) for case in cases)


def _count(case: CaseRecord, name: str, worst: float) -> CountedCase:
    score = case.scores.get(name)
    if case.outcome == "error":
        return CountedCase(case, worst, f"error: {case.message}")
    if score is None:
        return CountedCase(case, worst, f"recorded no {name!r}" + (f": {case.message}" if case.message else ""))
    if not math.isfinite(score.value):
        return CountedCase(case, worst, f"recorded {score.value!r}, counted as {worst:.4g}")
    return CountedCase(case, score.value, score.feedback or case.message)


def _built_in(name: str, cases: Sequence[CaseRecord]) -> tuple[tuple[CountedCase, ...], str]:
    """Return what each case counts, or nothing and the reason why that is not known."""
    if name in _OF_CALLS and cases and not any(case.facts.spent.calls for case in cases):
        return (), f"no LM call of the test was seen, so its {name} is not known"
    values = [(case, BUILT_IN[name](case)) for case in cases]
    missing = [case.name for case, value in values if value is None]
    if missing:
        return (), f"the {name} of {len(missing)} cases is not known, such as {missing[0]!r}: {_UNKNOWN[name]}"
    return tuple(CountedCase(case, value, case.message) for case, value in values if value is not None), ""
