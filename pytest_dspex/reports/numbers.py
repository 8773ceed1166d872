"""Scores as text, with as many digits as their intervals give sense to. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math

_MOST_DECIMALS = 12


def shown_score(value: float | None, *, low: float | None, high: float | None) -> str:
    """Return a mean, or an end of its interval, with two digits of the interval's width; `-` for none."""
    if value is None:
        return "-"
    width = 0.0 if low is None or high is None else high - low
    if not (0 < width < math.inf):
        return f"{value:.4g}"
    return f"{value:.{min(max(1 - math.floor(math.log10(width)), 0), _MOST_DECIMALS)}f}"


def shown_interval(low: float | None, high: float | None) -> str:
    """Return an interval as `0.861 to 0.892`; `-` for none."""
    if low is None or high is None:
        return "-"
    return f"{shown_score(low, low=low, high=high)} to {shown_score(high, low=low, high=high)}"
