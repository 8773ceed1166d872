"""The power of a paired test: the drop that so many cases can show. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError
from dspex_core.stats.checks import check_values, normal_quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

_PRECISION = 1e-6  # of a detectable drop: far below one case of any dataset


def detectable_drop(n: int, discordant_rate: float, *, significance: float = 0.05, power: float = 0.80) -> float | None:
    """Return the smallest drop of a pass rate that a paired test of `n` cases would most likely find.

    The normal approximation of McNemar's test (Connor 1987, Biometrics 43) with Edwards'
    continuity correction, which makes it close to the exact test. `None` when `n` cases could
    not show even the largest drop possible.

    Args:
        n: How many cases are run before and after.
        discordant_rate: The share of cases whose outcome changes although the program did not,
            as often one way as the other.
        significance: The two-sided p below which the drop counts as found.
        power: How likely it is found.

    Raises:
        ConfigurationError: `n` is less than 1, or the rate is not in [0, 1).
    """
    if n < 1 or not 0 <= discordant_rate < 1:
        raise ConfigurationError(
            f"a detectable drop needs n >= 1 and 0 <= discordant_rate < 1, not {n!r} and {discordant_rate!r}"
        )
    z_found, z_power = normal_quantile(1 - significance), NormalDist().inv_cdf(power)

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


def detectable_shift(differences: Sequence[float], *, significance: float = 0.05, power: float = 0.80) -> float:
    """Return the smallest mean difference that so many pairs, as spread as these, would most likely show.

    The normal approximation of the paired test (Cohen 1988, Statistical Power Analysis, chapter 2).

    Raises:
        ConfigurationError: `differences` is empty, or a value is not finite.
    """
    check_values(differences)
    mean, n = fmean(differences), len(differences)
    spread = math.sqrt(math.fsum((difference - mean) ** 2 for difference in differences) / max(n - 1, 1))
    return (normal_quantile(1 - significance) + NormalDist().inv_cdf(power)) * spread / math.sqrt(n)
