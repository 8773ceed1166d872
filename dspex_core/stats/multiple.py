"""Several tests at once: each looks for a difference, so one of many finds one by chance. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted by Holm's step-down method (Holm 1979, Scandinavian Journal of Statistics 6).

    With a bound on the adjusted values, the chance that any of the tests finds a difference where there is none stays
    below that bound, however the tests depend on each other. One p-value stays as it is.

    Raises:
        ConfigurationError: A value is not between 0 and 1.
    """
    if not all(0 <= p <= 1 for p in p_values):
        raise ConfigurationError(f"p-values lie between 0 and 1, not {list(p_values)!r}")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, p_values[place] * (len(p_values) - rank)))
        adjusted[place] = largest
    return tuple(adjusted)
