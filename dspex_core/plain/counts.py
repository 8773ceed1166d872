"""How often, how many, how much: numbers that users give. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
import operator
from typing import Any, TypeGuard

from dspex_core.errors import ConfigurationError


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number, which truth values are not meant as."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_whole(value: Any, least: float = -math.inf) -> TypeGuard[int]:
    """Whether a value is a whole number, and not below the least."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def whole_number(name: str, given: Any, *, least: int = 1, why: str = "") -> int:
    """Return a count as an `int`: numpy's whole numbers count as such, truth values do not.

    Raises:
        ConfigurationError: `given` is not a whole number, or below `least`.
    """
    because = f": {why}" if why else ""
    try:
        number = operator.index(given)
    except TypeError:
        raise ConfigurationError(f"{name} must be a whole number, not {given!r}{because}") from None
    if isinstance(given, bool):
        raise ConfigurationError(f"{name} must be a whole number, not {given!r}{because}")
    if number < least:
        raise ConfigurationError(f"{name} must be at least {least}, not {given!r}{because}")
    return number


def seconds(name: str, given: Any) -> float:
    """Return a time as a `float`.

    Raises:
        ConfigurationError: `given` is not a number, not finite, or not above 0.
    """
    if not (is_number(given) and math.isfinite(given) and given > 0):
        raise ConfigurationError(f"{name} must be a number of seconds above 0, not {given!r}")
    return float(given)
