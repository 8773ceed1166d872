"""Counting the tokens and the money that a piece of work takes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dspex_core.config import context, current
from dspex_core.messages import LMResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class UsageTracker:
    """What the calls inside one `track_usage` block took.

    Args:
        parent: The tracker of the block around, which counts the same calls.
        calls: How many calls were answered, by the LM or from a cache.
        cached_calls: How many of them a cache or a cassette answered.
        by_model: Tokens per model, those of cached calls included.
        cost: Dollars, as far as prices are known. Cached calls are free.
    """

    parent: UsageTracker | None = None
    calls: int = 0
    cached_calls: int = 0
    by_model: dict[str, Usage] = field(default_factory=dict)
    cost: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def total(self) -> Usage:
        """Tokens of all models together."""
        return sum(self.by_model.values(), Usage())

    def add(self, response: LMResponse) -> None:
        """Count one answered call."""
        with self._lock:
            self.calls += 1
            self.cached_calls += response.cached
            self.by_model[response.model] = self.by_model.get(response.model, Usage()) + response.usage
            self.cost += 0.0 if response.cached else response.cost or 0.0
        if self.parent is not None:
            self.parent.add(response)


@contextmanager
def track_usage() -> Iterator[UsageTracker]:
    """Count what the calls in the block take; blocks may nest."""
    tracker = UsageTracker(parent=current().usage)
    with context(usage=tracker):
        yield tracker
