"""The decision of a gate: whether a score of a test's cases keeps to its bound. PYTEST_DONT_REWRITE

If cases are missing, a gate is not evaluated, and so it is if it is left with as many skipped cases as others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dspex.gates.scoring import BUILT_IN, row_of, statistic
from pytest_dspex.gates.verdicts import Verdict, show

if TYPE_CHECKING:
    from pytest_dspex.gates.grammar import Gate
    from pytest_dspex.gates.scoring import CountedCase, ScoreSummary
    from pytest_dspex.gates.verdicts import Drop, Status

_ROUNDING = 1e-9  # a mean of 0.3 and 0.5 is 0.4 for whoever wrote min=0.4, whatever binary fractions say


def decide(gate: Gate, summary: ScoreSummary, expected: int) -> Verdict:
    """Decide a gate on its score over the cases that were reported, of the `expected` that the test has."""
    status, reason = _judge(gate, summary, expected)
    is_usage_error = status != "not evaluated" and _is_never_recorded(summary)
    return verdict_of(
        gate,
        summary,
        status="failed" if is_usage_error else status,
        reason=_unknown_score(summary) if is_usage_error else reason,
        is_usage_error=is_usage_error,
    )


def verdict_of(
    gate: Gate,
    summary: ScoreSummary,
    *,
    status: Status,
    reason: str,
    is_usage_error: bool = False,
    drop: Drop | None = None,
) -> Verdict:
    """Return a verdict with the measured values."""
    value = summary.mean if gate.stat == "mean" or not summary.counted else statistic(gate.stat, summary.values)
    return Verdict(
        gate=gate,
        status=status,
        mean=value,
        interval=summary.interval if gate.stat == "mean" else None,
        n=summary.n,
        errors=summary.errors,
        reason=reason,
        worst=_worst(gate, summary, drop),
        is_usage_error=is_usage_error,
        drop=drop,
        rows=summary.rows,
    )


def missing_data(summary: ScoreSummary, expected: int) -> str:
    """Return why a gate cannot be evaluated on these cases; empty if it can."""
    reported = summary.n + summary.skipped
    if summary.unknown:
        return summary.unknown
    if reported < expected:
        return f"{reported}/{expected} cases"
    if not summary.counted:
        return f"no case ran, {reported} skipped"
    missed = sum(case.record.is_missed for case in summary.counted)
    if missed:
        return f"{missed} of {summary.n} cases made requests that are not recorded"
    if summary.skipped >= summary.n:
        return f"n={summary.n}, skipped={summary.skipped}: the cases that are left say too little about the others"
    return ""


def exceptions(summary: ScoreSummary) -> list[str]:
    """Return the counts of cases that did not enter the mean with a value of their own."""
    worst = next((f"{case.value:.4g}" for case in summary.counted if case.why.startswith(("error", "recorded"))), "0")
    counts = {
        f"errors={{}} (counted as {worst})": summary.errors,
        f"unrecorded={{}} (counted as {worst})": summary.unrecorded,
        "skipped={} (left out)": summary.skipped,
    }
    return [text.format(count) for text, count in counts.items() if count]


def _judge(gate: Gate, summary: ScoreSummary, expected: int) -> tuple[Status, str]:
    missing = missing_data(summary, expected)
    if missing:
        return "not evaluated", missing
    value = statistic(gate.stat, summary.values)
    compared = value if gate.confidence is None else _end(gate, summary)
    passed = compared <= gate.bound + _ROUNDING if gate.wants_less else compared >= gate.bound - _ROUNDING
    if passed and not _has_values(summary):  # a bound of 0 or less, which errors alone would keep to
        return "failed", f"no case recorded {summary.name!r}, {summary.shown_n}, {', '.join(exceptions(summary))}"
    return "passed" if passed else "failed", ", ".join(
        [_measured(gate, summary, value, passed=passed), summary.shown_n, *exceptions(summary)]
    )


def _measured(gate: Gate, summary: ScoreSummary, value: float, *, passed: bool) -> str:
    sign = {(False, True): ">=", (False, False): "<", (True, True): "<=", (True, False): ">"}[gate.wants_less, passed]
    name = gate.name if gate.stat == "mean" else f"{gate.stat} of {gate.name}"
    interval = summary.interval if gate.stat == "mean" else None
    shown = f" [{show(interval.low)}, {show(interval.high)}]" if interval is not None else ""
    if gate.confidence is None:
        return f"{name} {show(value)}{shown} {sign} {show(gate.bound)}"
    side = "upper" if gate.wants_less else "lower"
    end = show(_end(gate, summary))
    return (
        f"{name} {show(value)}{shown}: the {side} end at {100 * gate.confidence:g} % is {end} {sign} {show(gate.bound)}"
    )


def _end(gate: Gate, summary: ScoreSummary) -> float:
    """Return the end of the interval that the bound is on; without an interval a case has an infinite value."""
    if summary.interval is None:
        return summary.mean if summary.mean is not None else 0.0
    return summary.interval.high if gate.wants_less else summary.interval.low


def _worst(gate: Gate, summary: ScoreSummary, drop: Drop | None) -> tuple[CountedCase, ...]:
    if gate.is_paired:
        lost = set(drop.lost) if drop is not None else set()
        return tuple(case for case in summary.counted if row_of(case.record) in lost)
    if gate.wants_less:
        above = (case for case in summary.counted if case.value > gate.bound)
        return tuple(sorted(above, key=lambda case: -case.value))
    return tuple(sorted((case for case in summary.counted if case.value < gate.bound), key=lambda case: case.value))


def _has_values(summary: ScoreSummary) -> bool:
    is_built_in = summary.name in BUILT_IN
    return is_built_in or any(
        case.record.outcome != "error" and summary.name in case.record.scores for case in summary.counted
    )


def _is_never_recorded(summary: ScoreSummary) -> bool:
    """Return whether the gate's name is misspelt: cases ran to their end, but none of them recorded the score."""
    records = [case.record for case in summary.counted]
    if summary.name in BUILT_IN or any(summary.name in record.scores for record in records):
        return False
    return any(record.outcome == "pass" or record.scores for record in records)


def _unknown_score(summary: ScoreSummary) -> str:
    names = sorted({name for case in summary.counted for name in case.record.scores})
    problem = f"no case recorded the score {summary.name!r}"
    if not names:
        return f"{problem}; recorded: nothing; record it with score({summary.name!r}, ...)"
    return f"{problem}; recorded: {', '.join(map(repr, names))}; name one of these, or record it"
