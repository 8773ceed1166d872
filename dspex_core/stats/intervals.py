"""Intervals: the range that holds a mean with a given confidence. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.stats.checks import check_values, normal_quantile, t_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_MOST_RESAMPLED = 100
_NORMAL = NormalDist()
_FAR = 8.0  # a normal quantile beyond all that is drawn


@dataclass(frozen=True, slots=True)
class Interval:
    """The range that holds the true value with the confidence that was asked for."""

    low: float
    high: float


def mean_interval(values: Sequence[float], *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Return the interval of the mean of scores: Wilson's where all are 0 or 1, else the BCa bootstrap's.

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
    return _wilson(successes / n, n, confidence)


def _wilson(share: float, n: int, confidence: float) -> Interval:
    z = normal_quantile(confidence)
    weight = z * z / n
    middle = (share + weight / 2) / (1 + weight)
    reach = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    # The ends are exact where nothing or everything succeeded; rounding would miss them.
    low = 0.0 if share == 0 else middle - reach
    high = 1.0 if share == 1 else middle + reach
    return Interval(low, high)


def bootstrap_interval(
    values: Sequence[float], *, confidence: float = 0.95, seed: int = 0, resamples: int = 2000
) -> Interval:
    """Return the BCa bootstrap interval of a mean (Efron 1987, Journal of the American Statistical Association 82).

    BCa is bias-corrected and accelerated: it follows the skewness of the values, such as that of scores near 1, where
    the percentile interval lies too high. Its levels are widened for few values as Student's t is (Hesterberg 2015, The
    American Statistician 69, section 4.3), so that 20 values do with 95 % what they say.

    Up to 100 values the bootstrap distribution is drawn. Beyond that it is computed from the first four moments
    (Cornish and Fisher 1938; ABC of DiCiccio and Efron 1992, Biometrika 79), in a thousandth of the time and without
    noise. The interval holds the mean, stays within the range of the values, and of equal ones is that value.

    Raises:
        ConfigurationError: `values` is empty, a value is not finite, or the confidence is not between 0 and 1.
    """
    check_values(values)
    z = normal_quantile(confidence)
    mean, least, most = fmean(values), min(values), max(values)
    if least == most:
        return Interval(mean, mean)
    n = len(values)
    reach = t_quantile(z, n - 1) * math.sqrt(n / (n - 1))
    shape = _shape(values, mean)
    levels = _Levels(shape.skewness / 6, reach)
    if n <= _MOST_RESAMPLED:
        low, high = _drawn(values, mean, levels, draws=(seed, resamples))
    else:
        low, high = (mean + shape.error * shape.quantile(w) for w in levels.corrected(levels.acceleration))
    return Interval(max(min(low, mean), least), min(max(high, mean), most))


def clustered_interval(clusters: Sequence[Sequence[float]], *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Return the interval of the mean of scores that come in clusters, such as the attempts at one example.

    Attempts at one example are alike, so that five of them say less than five examples do. This is the cluster
    bootstrap (Davison and Hinkley 1997, Bootstrap Methods and their Application, section 3.8): whole clusters are
    drawn, which assumes nothing about how alike their scores are. A cluster-robust error would make the interval
    symmetric, and near 1 it is not. The mean is that of all scores; where clusters differ in size, it is a ratio, and
    linearised (Cochran 1977, Sampling Techniques, section 6.3).

    Where all scores are 0 or 1 and the clusters do not differ, or each is all 0 or all 1, it is Wilson's interval with
    a cluster as one case.

    Raises:
        ConfigurationError: There is no cluster, one is empty, a value is not finite, or the confidence is not between
            0 and 1.
    """
    values = [value for cluster in clusters for value in cluster]
    if len(values) == len(clusters) and all(clusters):
        return mean_interval(values, confidence=confidence, seed=seed)
    check_values(values)
    if not all(clusters):
        raise ConfigurationError(f"each cluster needs at least one value: {list(map(list, clusters))!r}")
    size, mean = len(values) / len(clusters), fmean(values)
    is_even = all(len(cluster) == size for cluster in clusters)
    of_clusters = [
        fmean(cluster) if is_even else mean + (math.fsum(cluster) - mean * len(cluster)) / size for cluster in clusters
    ]
    spread = set(of_clusters)
    if all(value in (0, 1) for value in values) and (len(spread) == 1 or spread == {0, 1}):
        return _wilson(mean, len(clusters), confidence)
    interval = bootstrap_interval(of_clusters, confidence=confidence, seed=seed)
    return Interval(max(interval.low, min(values)), min(interval.high, max(values)))


@dataclass(frozen=True, slots=True)
class _Levels:
    """The two ends of an interval as standard normal quantiles, which BCa corrects."""

    acceleration: float
    reach: float

    def corrected(self, bias: float) -> tuple[float, float]:
        return self._corrected(bias, -self.reach), self._corrected(bias, self.reach)

    def _corrected(self, bias: float, z: float) -> float:
        left = 1 - self.acceleration * (bias + z)
        return bias + (bias + z) / left if left > 0 else math.copysign(_FAR, z)


@dataclass(frozen=True, slots=True)
class _Shape:
    """The moments of the bootstrap distribution of a mean: standard error, skewness and excess kurtosis."""

    error: float
    skewness: float
    kurtosis: float

    def quantile(self, z: float) -> float:
        """Return the standardised quantile at a normal one (Cornish and Fisher 1938)."""
        bend = self.skewness * (z**2 - 1) / 6 - self.skewness**2 * (2 * z**3 - 5 * z) / 36
        return z + bend + self.kurtosis * (z**3 - 3 * z) / 24


def _shape(values: Sequence[float], mean: float) -> _Shape:
    n, scale = len(values), max(values) - min(values)  # powers of tiny differences would be zero
    differences = [(value - mean) / scale for value in values]
    squares = [difference * difference for difference in differences]
    variance = math.fsum(squares) / n
    third = math.fsum(map(mul, squares, differences)) / n
    fourth = math.fsum(map(mul, squares, squares)) / n
    return _Shape(scale * math.sqrt(variance / n), third / variance**1.5 / math.sqrt(n), (fourth / variance**2 - 3) / n)


def _drawn(values: Sequence[float], mean: float, levels: _Levels, *, draws: tuple[int, int]) -> tuple[float, float]:
    """Return the ends of the BCa interval from a bootstrap distribution of so many draws with this seed."""
    with foreign_code():
        import numpy as np  # takes longer to import than a session without fractional scores

    seed, resamples = draws
    means = _weights(len(values), seed, resamples) @ np.asarray(values, dtype=float)
    rounding = 1e-12 * max(abs(value) for value in values)
    below = float((means < mean - rounding).mean() + (means <= mean + rounding).mean()) / 2
    bias = _NORMAL.inv_cdf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    low, high = np.quantile(means, [_NORMAL.cdf(level) for level in levels.corrected(bias)])
    return float(low), float(high)


@lru_cache(maxsize=8)  # as slices and tests of one size come together, and drawing is what takes time
def _weights(n: int, seed: int, resamples: int) -> NDArray[np.float64]:
    """Return how much of each resample's mean each of `n` values is: a row for each resample."""
    with foreign_code():
        import numpy as np  # as above

    drawn = np.random.RandomState(seed).randint(0, n, (resamples, n))
    places = drawn + n * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=n * resamples).reshape(resamples, n) / n
