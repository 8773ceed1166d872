"""Usage of the calls in a block. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from dspex_core.config import context, current
from dspex_core.spending.usage import UsageTracker

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def track_usage() -> Iterator[UsageTracker]:
    """Track the usage of the calls in the block; blocks may nest."""
    tracker = UsageTracker(parent=current().usage)
    with context(usage=tracker):
        yield tracker
