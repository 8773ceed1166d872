"""Gates on a change: the scores of a test, paired by case with those of its baseline. PYTEST_DONT_REWRITE

A change beyond the tolerance fails if chance is unlikely to make it: by McNemar's exact test where scores are 0 and 1,
else by sign flips, one-sided, since the gate says which way is worse. If several gates of a session test for a change,
their p-values are adjusted by Holm's method. Where so few cases cannot show any change, the tolerance alone decides.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_dspex.gates.decide import missing_data, verdict_of
from pytest_dspex.gates.scoring import by_row, summarize
from pytest_dspex.gates.verdicts import Drop, show

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

    from dspex_core.plugin_api import Comparison
    from pytest_dspex.gates.baselines import Baseline
    from pytest_dspex.gates.grammar import Gate
    from pytest_dspex.gates.records import CaseRecord
    from pytest_dspex.gates.scoring import ScoreSummary
    from pytest_dspex.gates.verdicts import Status, Verdict

_SIGNIFICANCE = 0.05
_ROUNDING = 1e-9


def decide_drop(gate: Gate, cases: Sequence[CaseRecord], *, expected: int, baseline: Baseline) -> Verdict:
    """Decide a gate on a change; the verdict counts as that of a session's only test for a change."""
    summary = summarize(gate.name, cases)
    reason = missing_data(summary, expected)
    if not reason and baseline.is_damaged:
        return verdict_of(gate, summary, status="failed", reason=baseline.problem)
    reason = reason or baseline.problem
    if not reason:
        reason = baseline.difference(gate.name, [case.record for case in summary.counted])
        reason = f"not comparable: {reason}" if reason else ""
    if reason:
        return verdict_of(gate, summary, status="not evaluated", reason=reason)
    drop = _drop(gate, summary, baseline)
    if drop is None:
        reason = f"not comparable: no case of {baseline.source} is among the {summary.n} cases of this session"
        return verdict_of(gate, summary, status="not evaluated", reason=reason)
    status, reason = _judge(gate, drop, p_value=drop.p_value, tests=1)
    return verdict_of(gate, summary, status=status, reason=reason, drop=drop)


def corrected(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts of a session, with the p-values of all tests for a change adjusted for their number."""
    from dspex_core.plugin_api import holm  # imported only in sessions that have gates

    drops = [verdict.drop for verdict in verdicts if verdict.drop is not None]
    adjusted = iter(holm([drop.p_value for drop in drops]))
    result = []
    for verdict in verdicts:
        if verdict.drop is not None and len(drops) > 1:
            status, reason = _judge(verdict.gate, verdict.drop, p_value=next(adjusted), tests=len(drops))
            result.append(replace(verdict, status=status, reason=reason))
        else:
            result.append(verdict)
    return result


def _drop(gate: Gate, summary: ScoreSummary, baseline: Baseline) -> Drop | None:
    from dspex_core.plugin_api import compare_scores  # as above

    before = baseline.scores(gate.name)
    paired = [case for case in summary.counted if case.record.case in before]
    if not paired:
        return None
    # The attempts at a row are alike: only rows are independent of each other, as a paired test assumes.
    comparison = compare_scores(
        _of_rows((case.record, before[case.record.case]) for case in paired),
        _of_rows((case.record, case.value) for case in paired),
        metric=gate.name,
    )
    lost, gained = comparison.lost, comparison.gained
    is_worse = comparison.difference > 0 if gate.wants_less else comparison.difference < 0
    names = {case.record.case for case in summary.counted}
    notes = [*_alone(before.keys(), names), *baseline.changes(gate.name, [case.record for case in summary.counted])]
    return Drop(
        before=comparison.before,
        after=comparison.after,
        n=len(comparison.pairs),
        attempts=len(paired),
        lost=gained if gate.wants_less else lost,
        gained=lost if gate.wants_less else gained,
        p_value=comparison.p_value / 2 if is_worse else 1.0,
        detectable=_detectable(comparison),
        notes=tuple(notes),
    )


def _of_rows(values: Iterable[tuple[CaseRecord, float]]) -> dict[str, float]:
    return {row: math.fsum(found) / len(found) for row, found in by_row(values).items()}


def _alone(before: AbstractSet[str], after: AbstractSet[str]) -> list[str]:
    gone, new = len(before - after), len(after - before)
    return [*([f"{gone} cases of the baseline are gone"] if gone else []), *([f"{new} cases are new"] if new else [])]


def _detectable(comparison: Comparison) -> float | None:
    from dspex_core.plugin_api import detectable_drop, detectable_shift  # as above

    differences = [pair.after - pair.before for pair in comparison.pairs]
    if all(difference in (-1, 0, 1) for difference in differences):
        flips = 2 * min(len(comparison.lost), len(comparison.gained))
        return detectable_drop(len(differences), min(flips / len(differences), 0.99), significance=2 * _SIGNIFICANCE)
    return detectable_shift(differences, significance=2 * _SIGNIFICANCE)


def _judge(gate: Gate, drop: Drop, *, p_value: float, tests: int) -> tuple[Status, str]:
    worse = (drop.after - drop.before) * (1 if gate.wants_less else -1)
    is_beyond = worse > gate.bound + _ROUNDING
    can_show = 0.5**drop.n <= _SIGNIFICANCE  # p if every case were worse
    status: Status = "passed"
    if is_beyond:
        status = "failed" if p_value <= _SIGNIFICANCE or not can_show else "inconclusive"
    return status, ", ".join(
        [_measured(gate, drop, worse), *_evidence(drop, p_value, tests, can_show=can_show), *drop.notes]
    )


def _measured(gate: Gate, drop: Drop, worse: float) -> str:
    word = "rise" if gate.wants_less else "drop"
    sign = ">" if worse > gate.bound + _ROUNDING else "<="
    change = f"{word} {show(max(worse, 0.0))} {sign} {show(gate.bound)}"
    return f"{gate.name} {show(drop.before)} -> {show(drop.after)}: {change}"


def _evidence(drop: Drop, p_value: float, tests: int, *, can_show: bool) -> list[str]:
    rows = "cases" if drop.n == drop.attempts else "rows"
    holm = f" after Holm's correction for {tests} gates" if tests > 1 else ""
    n = f"n={drop.n}" if rows == "cases" else f"n={drop.n} rows, {drop.attempts} attempts"
    facts = [n, f"{len(drop.lost)} worse, {len(drop.gained)} better", f"p={show(p_value)}{holm}"]
    if not can_show:
        return [*facts, "so few cases cannot show any change, so that the drop alone decides"]
    if drop.detectable is None:
        return [*facts, f"{drop.n} {rows} cannot show a change reliably"]
    return [*facts, f"{drop.n} {rows} can show a change of {show(drop.detectable)}"]
