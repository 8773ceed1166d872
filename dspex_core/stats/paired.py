"""Paired tests: whether the same cases do differently with two programs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from itertools import product
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.stats.checks import batches, check_values

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_RESAMPLED = 2_000
_MOST_ENUMERATED = 12  # differences; their 4,096 sign patterns are no more work than sampling


def paired_p(differences: Sequence[float], *, seed: int = 0) -> float:
    """Return the two-sided p of paired differences: McNemar's where all are -1, 0 or 1, else by sign flips.

    Raises:
        ConfigurationError: `differences` is empty, or a value is not finite.
    """
    check_values(differences)
    if all(difference in (-1, 0, 1) for difference in differences):
        return mcnemar_exact(differences.count(-1), differences.count(1))
    return sign_flip_test(differences, seed=seed)


def standard_errors(differences: Sequence[float]) -> float:
    """Return how many standard errors the mean of paired differences is above 0; negative if it is below.

    The error is that of a mean of 0, the square root of the sum of squares by n: so one gain without a loss is exactly
    1, and g gains with l losses are (g - l) / sqrt(g + l), as in McNemar's test. 0 where nothing differs.

    Raises:
        ConfigurationError: `differences` is empty, or a value is not finite.
    """
    check_values(differences)
    largest = max(map(abs, differences))
    if not largest:
        return 0.0
    scaled = [difference / largest for difference in differences]  # squares of tiny ones would be 0
    return round(math.fsum(scaled) / math.sqrt(math.fsum(each * each for each in scaled)), 9)


def mcnemar_exact(lost: int, gained: int) -> float:
    """Return the two-sided p of McNemar's exact test.

    It is how likely a split at least so uneven is when losing and gaining are equally likely
    (twice the binomial tail, at most 1). Cases that did not change say nothing about it.

    Args:
        lost: Cases that passed before and do not now.
        gained: Cases that pass now and did not before.

    Raises:
        ConfigurationError: A count is negative.
    """
    if lost < 0 or gained < 0:
        raise ConfigurationError(f"counts of cases cannot be negative: lost={lost!r}, gained={gained!r}")
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
    that are not zero it is exact, beyond that it is sampled (Noreen 1989), and beyond 2,000 it is the limit of the
    sampled one, the normal distribution (Lehmann 1975, chapter 3). On differences of
    -1, 0 and 1 it is McNemar's exact test. A bootstrap of the mean, in contrast, takes three
    losses in a row for certain.

    Raises:
        ConfigurationError: `differences` is empty, or a value is not finite.
    """
    check_values(differences)
    sizes = [abs(difference) for difference in differences if difference]
    # The same sum in another order rounds differently.
    enough = abs(math.fsum(differences)) - 1e-9 * math.fsum(sizes)
    if len(sizes) <= _MOST_ENUMERATED:
        sums = [math.fsum(map(math.copysign, sizes, signs)) for signs in product((1, -1), repeat=len(sizes))]
        return sum(abs(total) >= enough for total in sums) / len(sums)
    if len(sizes) > _MOST_RESAMPLED:
        return math.erfc(enough / math.sqrt(2 * math.fsum(size * size for size in sizes)))
    with foreign_code():
        import numpy as np  # takes longer to import than a session without fractional scores

    draw, data = np.random.RandomState(seed), np.asarray(sizes)
    extreme = 0
    for size in batches(resamples, len(data)):
        signs = draw.randint(0, 2, (size, len(data)), dtype=np.int8) * 2.0 - 1
        extreme += int((abs(signs @ data) >= enough).sum())
    return (extreme + 1) / (resamples + 1)  # the pattern that was observed is one of them
