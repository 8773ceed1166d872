"""Trying a call again after a failure that may pass. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from dspex_core.errors import LMError
from dspex_core.flow.steps import Flow, Sleep

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.messages import LMResponse

_FIRST_PAUSE = 0.5  # seconds before the second try; doubled before each further one
_LONGEST_PAUSE = 60.0


def with_retries(
    attempt: Callable[[], Flow[LMResponse]], num_retries: int, *, told: Callable[[], bool] | None = None
) -> Flow[LMResponse]:
    """Make a try of a call, and up to `num_retries` more while it fails in a way that may pass.

    `told` says whether a piece of the reply was told already: it cannot be taken back, so the failure stands.
    """
    for number in range(num_retries):
        try:
            return (yield from attempt())
        except LMError as error:
            if not error.is_retryable or (told is not None and told()):
                raise
            pause = _pause(number, error.retry_after)
        yield Sleep(pause)
    return (yield from attempt())


def _pause(number: int, retry_after: float | None) -> float:
    """Return the seconds to wait: what the provider asked for, else ever longer and never in step with others."""
    if retry_after is not None:
        return min(retry_after, _LONGEST_PAUSE)
    return min(_FIRST_PAUSE * 2.0**number, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311  no secret
