"""Retries of a call after transient failures. PYTEST_DONT_REWRITE"""

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
    attempt: Callable[[], Flow[LMResponse]], num_retries: int, *, has_emitted: Callable[[], bool] | None = None
) -> Flow[LMResponse]:
    """Make a call, and up to `num_retries` more tries after transient failures.

    A call that `has_emitted` a piece of its reply is not retried: the piece cannot be taken back.
    """
    for number in range(num_retries):
        try:
            return (yield from attempt())
        except LMError as error:
            if not error.is_retryable or (has_emitted is not None and has_emitted()):
                raise
            pause = _pause(number, error.retry_after)
        yield Sleep(pause)
    return (yield from attempt())


def _pause(number: int, retry_after: float | None) -> float:
    """Return the seconds to wait: as the provider asked, else exponential backoff with jitter."""
    if retry_after is not None:
        return min(retry_after, _LONGEST_PAUSE)
    return min(_FIRST_PAUSE * 2.0**number, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311  no secret
