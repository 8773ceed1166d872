"""Options of an evaluation, refused before anything runs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from typing import Any, Literal

from dspex_core.errors import ConfigurationError

Keep = Literal["all", "failures", "none"]
KEEPS: tuple[Keep, ...] = ("all", "failures", "none")


def check_options(*, timeout: Any, repeats: Any, keep: Any, stop_when: Any) -> None:
    """Refuse options that mean nothing.

    Raises:
        ConfigurationError: An option cannot be used.
    """
    if timeout is not None and (not isinstance(timeout, int | float) or not 0 < timeout < math.inf):
        raise ConfigurationError(f"timeout is a number of seconds above 0, or None for no limit, not {timeout!r}")
    if not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1:
        raise ConfigurationError(f"repeats is the number of attempts at each example, at least 1, not {repeats!r}")
    if keep not in KEEPS:
        raise ConfigurationError(f"keep is one of {', '.join(map(repr, KEEPS))}, not {keep!r}")
    if stop_when is not None and not callable(getattr(stop_when, "start", None)):
        raise ConfigurationError(f"stop_when is a rule such as decided(min=0.85), not {stop_when!r}")
