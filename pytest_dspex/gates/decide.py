"""Gates: the mean that a score must reach over the cases of a test, and whether it did. PYTEST_DONT_REWRITE

A case that failed with an error counts as 0, and so does a case that ran and did not record the
score. Skipped cases are left out of the mean and reported. If cases are missing, the gate is not
evaluated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.plugin_api import Interval
    from pytest_dspex.gates.grammar import Gate
    from pytest_dspex.gates.records import CaseRecord

    Status = Literal["passed", "failed", "not evaluated"]

_ROUNDING = 1e-9  # a mean of 0.3 and 0.5 is 0.4 for whoever wrote min=0.4, whatever binary fractions say


class CountedCase(NamedTuple):
    """The value with which a case enters the mean, and the reason for the value."""

    record: CaseRecord
    value: float
    why: str


@dataclass(frozen=True, slots=True)
class ScoreSummary:
    """One score over the cases of a test; `mean` and `interval` (95 %) are `None` if all cases were skipped.

    `n` is the number of cases in the mean: all but the `skipped` ones. It includes the `errors` and the
    cases that ran and did not record this score (`unrecorded`), each with the value 0.
    """

    name: str
    mean: float | None
    interval: Interval | None
    n: int
    errors: int
    unrecorded: int
    skipped: int
    counted: tuple[CountedCase, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision of a gate.

    Args:
        gate: The gate.
        status: "passed", "failed", or "not evaluated", which neither passes nor fails the session.
        mean: The mean of the counted cases, if there are any.
        interval: The 95 % confidence interval of the mean.
        n: The number of counted cases.
        errors: The number of counted cases that failed with an error; each counts as 0.
        reason: The verdict in one line.
        worst: The cases below the gate's minimum, the lowest first.
        is_usage_error: Whether the gate names a score that the test never records.
    """

    gate: Gate
    status: Status
    mean: float | None
    interval: Interval | None
    n: int
    errors: int
    reason: str
    worst: tuple[CountedCase, ...] = ()
    is_usage_error: bool = False


def summarize(name: str, cases: Sequence[CaseRecord]) -> ScoreSummary:
    """Return the mean of a score over the cases that were not skipped; a case without the score counts as 0."""
    from dspex_core.plugin_api import mean_interval  # imported only in sessions that have scores

    counted = tuple(_count(case, name) for case in cases if case.outcome != "skip")
    values = [case.value for case in counted]
    ran = [case.record for case in counted if case.record.outcome != "error"]
    return ScoreSummary(
        name=name,
        mean=math.fsum(values) / len(values) if values else None,
        interval=mean_interval(values, confidence=0.95) if values else None,
        n=len(counted),
        errors=len(counted) - len(ran),
        unrecorded=sum(name not in record.scores for record in ran),
        skipped=len(cases) - len(counted),
        counted=counted,
    )


def decide(gate: Gate, summary: ScoreSummary, expected: int) -> Verdict:
    """Decide a gate on its score over the cases that were reported, of the `expected` that the test has."""
    worst = sorted((case for case in summary.counted if case.value < gate.min), key=lambda case: case.value)
    status, reason = _judge(gate, summary, expected)
    is_usage_error = status != "not evaluated" and _is_never_recorded(summary)
    return Verdict(
        gate=gate,
        status="failed" if is_usage_error else status,
        mean=summary.mean,
        interval=summary.interval,
        n=summary.n,
        errors=summary.errors,
        reason=_unknown_score(summary) if is_usage_error else reason,
        worst=tuple(worst),
        is_usage_error=is_usage_error,
    )


def show(value: float) -> str:
    """Return a score as text with four significant digits."""
    return f"{value:.4g}"


def _count(case: CaseRecord, name: str) -> CountedCase:
    score = case.scores.get(name)
    if case.outcome == "error":
        return CountedCase(case, 0.0, f"error: {case.message}")
    if score is None:
        return CountedCase(case, 0.0, f"recorded no {name!r}" + (f": {case.message}" if case.message else ""))
    if not math.isfinite(score.value):
        return CountedCase(case, 0.0, f"recorded {score.value!r}, counted as 0")
    return CountedCase(case, score.value, score.feedback or case.message)


def _judge(gate: Gate, summary: ScoreSummary, expected: int) -> tuple[Status, str]:
    reported = summary.n + summary.skipped
    if reported < expected:
        return "not evaluated", f"{reported}/{expected} cases"
    if summary.mean is None or summary.interval is None:
        return "not evaluated", f"no case ran, {reported} skipped"
    passed = summary.mean >= gate.min - _ROUNDING
    interval = f"[{show(summary.interval.low)}, {show(summary.interval.high)}]"
    measured = f"{gate.name} {show(summary.mean)} {interval} {'>=' if passed else '<'} {show(gate.min)}"
    facts = [measured, f"n={summary.n}", *_exceptions(summary)]
    return "passed" if passed else "failed", ", ".join(facts)


def _exceptions(summary: ScoreSummary) -> list[str]:
    counts = {
        "errors={} (counted as 0)": summary.errors,
        "unrecorded={} (counted as 0)": summary.unrecorded,
        "skipped={} (left out)": summary.skipped,
    }
    return [text.format(count) for text, count in counts.items() if count]


def _is_never_recorded(summary: ScoreSummary) -> bool:
    """Return whether the gate's name is misspelt: cases ran to their end, but none of them recorded the score."""
    records = [case.record for case in summary.counted]
    if any(summary.name in record.scores for record in records):
        return False
    return any(record.outcome == "pass" or record.scores for record in records)


def _unknown_score(summary: ScoreSummary) -> str:
    names = sorted({name for case in summary.counted for name in case.record.scores})
    problem = f"no case recorded the score {summary.name!r}"
    if not names:
        return f"{problem}; recorded: nothing; record it with score({summary.name!r}, ...)"
    return f"{problem}; recorded: {', '.join(map(repr, names))}; name one of these, or record it"
