"""How sure a score is: intervals, paired tests, and the drop that a test can see. PYTEST_DONT_REWRITE

Everything that draws at random takes a seed, so that the same scores give the same verdict.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_ENUMERATED = 12  # differences; their 4,096 sign patterns are no more work than sampling
_PRECISION = 1e-6  # of a detectable drop: far below one case of any dataset


@dataclass(frozen=True, slots=True)
class Interval:
    """The range that holds the true value with the confidence that was asked for."""

    low: float
    high: float


def mean_interval(values: Sequence[float], *, confidence: float = 0.95, seed: int = 0) -> Interval:
    """Return the interval of the mean of scores: Wilson's where all are 0 or 1, else the bootstrap's."""
    if all(value in (0, 1) for value in values):
        return wilson_interval(round(sum(values)), len(values), confidence=confidence)
    return bootstrap_interval(values, confidence=confidence, seed=seed)


def wilson_interval(successes: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a proportion (Wilson 1927, without continuity correction).

    Unlike the textbook interval it holds for small `n` and for proportions near 0 and 1.
    """
    if not 0 <= successes <= n or n == 0:
        message = f"a proportion needs 0 <= successes <= n and n >= 1, not {successes!r} of {n!r}"
        raise ConfigurationError(message)
    z = _normal_quantile(confidence)
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

    With fewer than about 20 values it is too narrow, and for a single value it is that value.
    """
    _check_values(values)
    tail = (1 - _checked_confidence(confidence)) / 2
    draw = random.Random(seed)  # noqa: S311  a reproducible sample, no secret
    means = sorted(fmean(draw.choices(values, k=len(values))) for _ in range(resamples))
    mean = fmean(values)
    return Interval(min(_quantile(means, tail), mean), max(_quantile(means, 1 - tail), mean))


def paired_p(differences: Sequence[float], *, seed: int = 0) -> float:
    """Return the two-sided p of paired differences: McNemar's where all are -1, 0 or 1, else by sign flips."""
    if all(difference in (-1, 0, 1) for difference in differences):
        return mcnemar_exact(differences.count(-1), differences.count(1))
    return sign_flip_test(differences, seed=seed)


def mcnemar_exact(lost: int, gained: int) -> float:
    """Return the two-sided p of McNemar's exact test.

    Args:
        lost: Cases that passed before and do not now.
        gained: Cases that pass now and did not before.

    It is how likely a split at least so uneven is when losing and gaining are equally likely
    (twice the binomial tail, at most 1). Cases that did not change say nothing about it.
    """
    if lost < 0 or gained < 0:
        message = f"counts of cases cannot be negative: lost={lost!r}, gained={gained!r}"
        raise ConfigurationError(message)
    changed, fewer = lost + gained, min(lost, gained)
    term = tail = 1
    for k in range(fewer):
        term = term * (changed - k) // (k + 1)  # the binomial coefficient of k + 1
        tail += term
    return min(1.0, 2 * tail / (1 << changed))


def sign_flip_test(differences: Sequence[float], *, seed: int = 0, resamples: int = 2000) -> float:
    """Return the two-sided p of Fisher's randomization test for a mean paired difference of zero.

    If the two programs were alike, each difference could as well have had the other sign: p is
    the share of sign patterns whose mean is at least as far from zero. Up to 12 differences
    that are not zero it is exact, beyond that it is sampled (Noreen 1989). On differences of
    -1, 0 and 1 it is McNemar's exact test. A bootstrap of the mean, in contrast, takes three
    losses in a row for certain.
    """
    _check_values(differences)
    sizes = [abs(difference) for difference in differences if difference]
    observed = abs(math.fsum(differences))
    enough = observed - 1e-9 * math.fsum(sizes)  # the same sum in another order rounds differently
    if len(sizes) <= _MOST_ENUMERATED:
        patterns = range(2 ** len(sizes))
        return sum(abs(_signed_sum(sizes, pattern)) >= enough for pattern in patterns) / len(patterns)
    draw = random.Random(seed)  # noqa: S311  a reproducible sample, no secret
    extreme = sum(abs(_signed_sum(sizes, draw.getrandbits(len(sizes)))) >= enough for _ in range(resamples))
    return (extreme + 1) / (resamples + 1)  # the pattern that was observed is one of them


def detectable_drop(n: int, discordant_rate: float, *, significance: float = 0.05, power: float = 0.80) -> float | None:
    """Return the smallest drop of a pass rate that a paired test of `n` cases would most likely find.

    Args:
        n: How many cases are run before and after.
        discordant_rate: The share of cases whose outcome changes although the program did not,
            as often one way as the other.
        significance: The two-sided p below which the drop counts as found.
        power: How likely it is found.

    The normal approximation of McNemar's test (Connor 1987, Biometrics 43) with Edwards'
    continuity correction, which brings it close to the exact test. `None` when `n` cases could
    not show even the largest drop possible.
    """
    if n < 1 or not 0 <= discordant_rate < 1:
        message = f"a detectable drop needs n >= 1 and 0 <= discordant_rate < 1, not {n!r} and {discordant_rate!r}"
        raise ConfigurationError(message)
    z_found, z_power = _normal_quantile(1 - significance), NormalDist().inv_cdf(power)

    def is_found(drop: float) -> bool:
        discordant = discordant_rate + drop
        spread = z_found * math.sqrt(discordant) + z_power * math.sqrt(discordant - drop * drop)
        return drop >= 1 / n + spread / math.sqrt(n)

    missed, found = 0.0, 1 - discordant_rate
    if not is_found(found):
        return None
    while found - missed > _PRECISION:
        middle = (missed + found) / 2
        missed, found = (missed, middle) if is_found(middle) else (middle, found)
    return found


def _signed_sum(sizes: Sequence[float], pattern: int) -> float:
    return sum(size if pattern >> place & 1 else -size for place, size in enumerate(sizes))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Interpolate between the two values around the share (the usual definition, Hyndman and Fan's 7)."""
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def _normal_quantile(confidence: float) -> float:
    """Return how many standard deviations around the mean hold this share."""
    return NormalDist().inv_cdf(0.5 + _checked_confidence(confidence) / 2)


def _checked_confidence(confidence: float) -> float:
    if not 0 < confidence < 1:
        message = f"a confidence lies between 0 and 1 (0.95 is 95 %), not {confidence!r}"
        raise ConfigurationError(message)
    return confidence


def _check_values(values: Sequence[float]) -> None:
    if not values or not all(math.isfinite(value) for value in values):
        message = f"statistics need at least one value, and finite ones, not {values!r}"
        raise ConfigurationError(message)
