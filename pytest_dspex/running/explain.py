"""Pytest's explanation of a failed comparison with an evaluation result. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys

from pytest_dspex.reports.worst import scored_cases, worst_lines


def explain_comparison(op: str, left: object, right: object) -> list[str] | None:
    """Return the score, its interval and the worst examples; `None` for comparisons of other values."""
    if "dspex_core.evaluation.result" not in sys.modules:  # without it, no value is an evaluation result
        return None
    from dspex_core import EvaluationResult

    if not isinstance(left, EvaluationResult):
        return None
    interval = left.interval
    lines = [
        f"{left.metric} {left.mean:.3f} {op} {right}",
        f"95 % interval {interval.low:.3f} to {interval.high:.3f}, n={len(left)}, {len(left.errors)} errors",
    ]
    return [*lines, *worst_lines(scored_cases(left))]
