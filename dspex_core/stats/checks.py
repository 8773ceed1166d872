"""The values that statistics refuse, and the quantiles of two distributions. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DRAWN_AT_ONCE = 2_000_000  # random numbers; some 20 MB


def normal_quantile(confidence: float) -> float:
    """Return how many standard deviations around the mean hold this share."""
    return NormalDist().inv_cdf(0.5 + checked_confidence(confidence) / 2)


def t_quantile(z: float, freedom: int) -> float:
    """Return the quantile of Student's t at that of the normal distribution (Abramowitz and Stegun 1964, 26.7.5).

    For 5 degrees of freedom and more it is right to three digits; importing SciPy would take longer than all else.
    """
    steps = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(step / freedom**power for power, step in enumerate(steps, 1))


def checked_confidence(confidence: float) -> float:
    """Return a confidence that lies between 0 and 1.

    Raises:
        ConfigurationError: It does not.
    """
    if not 0 < confidence < 1:
        raise ConfigurationError(f"a confidence lies between 0 and 1 (0.95 is 95 %), not {confidence!r}")
    return confidence


def check_values(values: Sequence[float]) -> None:
    """Refuse an empty sequence and values that are not finite.

    Raises:
        ConfigurationError: `values` is empty, or a value is not finite.
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ConfigurationError(f"statistics need at least one value, and finite ones, not {values!r}")


def batches(resamples: int, n: int) -> Iterator[int]:
    """Yield how many resamples of `n` values to draw at once, so that the draws fit into memory."""
    size = max(1, _DRAWN_AT_ONCE // n)
    for begun in range(0, resamples, size):
        yield min(size, resamples - begun)
