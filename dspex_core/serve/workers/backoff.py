"""How long to wait before a worker is started again. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(slots=True)
class Backoff:
    """Waits that double with each failure in a row, up to a limit, each shortened by chance.

    The chance keeps workers that ended together from starting together.

    Args:
        first: Seconds before the first new start.
        most: Seconds that a wait has at most.
    """

    first: float
    most: float
    chance: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def reset(self) -> None:
        """Begin anew: a worker has been healthy."""
        self.failures = 0

    def seconds(self) -> float:
        """Return how long to wait after one more failure: between half of the wait and all of it."""
        whole = min(self.most, self.first * 2.0 ** min(self.failures, 60))
        self.failures += 1
        return whole * self.chance.uniform(0.5, 1)
