"""Intervals: the range that holds a mean with a given confidence. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.stats.checks import batches, check_values, checked_confidence, normal_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence


_MOST_RESAMPLED = 2_000


@dataclass(frozen=True, slots=True)
class Interval:
    """The range that holds the true value with the confidence that was asked for."""

    low: float
    high: float


def mean_interval(values: Sequence[float], *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Return the interval of the mean of scores: Wilson's where all are 0 or 1, else the bootstrap's.

    Raises:
        ConfigurationError: `values` is empty, a value is not finite, or the confidence is not between 0 and 1.
    """
    check_values(values)
    if all(value in (0, 1) for value in values):
        return wilson_interval(round(sum(values)), len(values), confidence=confidence)
    return bootstrap_interval(values, confidence=confidence, seed=seed)


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson 1927, without continuity correction).

    Unlike the textbook interval it holds for small `n` and for proportions near 0 and 1.

    Raises:
        ConfigurationError: Not 0 <= `successes` <= `n`, `n` is 0, or the confidence is not between 0 and 1.
    """
    if not 0 <= successes <= n or n == 0:
        raise ConfigurationError(f"a proportion needs 0 <= successes <= n and n >= 1, not {successes!r} of {n!r}")
    z = normal_quantile(confidence)
    share, weight = successes / n, z * z / n
    middle = (share + weight / 2) / (1 + weight)
    reach = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    # The ends are exact where nothing or everything succeeded; rounding would miss them.
    low = 0.0 if successes == 0 else middle - reach
    high = 1.0 if successes == n else middle + reach
    return Interval(low, high)


def bootstrap_interval(
    values: Sequence[float], *, confidence: float = 0.95, seed: int = 0, resamples: int = 2000
) -> Interval:
    """Return the percentile bootstrap interval of a mean (Efron 1979); it always holds the mean itself.

    With fewer than about 20 values it is too narrow, and for a single value it is that value. Beyond 2,000 values it is
    the normal interval, which the bootstrap's approaches (Bickel and Freedman 1981), in a thousandth of the time.

    Raises:
        ConfigurationError: `values` is empty, a value is not finite, or the confidence is not between 0 and 1.
    """
    check_values(values)
    if len(values) > _MOST_RESAMPLED:
        mean, reach = fmean(values), normal_quantile(confidence) * _deviation(values) / math.sqrt(len(values))
        return Interval(mean - reach, mean + reach)
    tail = (1 - checked_confidence(confidence)) / 2
    with foreign_code():
        import numpy as np  # takes longer to import than a session without fractional scores

    draw, data = np.random.RandomState(seed), np.asarray(values, dtype=float)
    means = np.concatenate(
        [data[draw.randint(0, len(data), (size, len(data)))].mean(axis=1) for size in batches(resamples, len(data))]
    )
    mean, low, high = fmean(values), float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))
    return Interval(min(low, mean), max(high, mean))


def _deviation(values: Sequence[float]) -> float:
    """Return the standard deviation; that of `statistics` computes with fractions, a hundred times as long."""
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
