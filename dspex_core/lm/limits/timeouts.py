"""How long one try of a call may take, by the purpose of the call. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Literal

from dspex_core.errors import ConfigurationError

TimeoutProfile = Literal["default", "ml_inference", "streaming", "batch_job"]

_SECONDS: dict[str, float] = {"default": 120.0, "ml_inference": 600.0, "streaming": 1800.0, "batch_job": 3600.0}


_LONGEST = 1e8  # three years; system clocks overflow on much larger values


def timeout_seconds(timeout: float | str) -> float:
    """Return the seconds that a timeout means: a number of them, or the name of a profile.

    Raises:
        ConfigurationError: The profile is unknown, or the number is not above 0.
    """
    seconds = _SECONDS.get(timeout) if isinstance(timeout, str) else timeout
    if not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
        names = ", ".join(map(repr, _SECONDS))
        message = f"a timeout is a number of seconds above 0, or one of {names}, not {timeout!r}"
        raise ConfigurationError(message)
    return seconds
