"""A budget that several workers spend from. PYTEST_DONT_REWRITE

A worker cannot ask for each call whether the budget has room. So each piece of work gets a part of what is left, and
returns what it has not spent. The first piece gets all of it, alone; later ones get twice what the dearest has spent.
"""

from __future__ import annotations

import asyncio
import math
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core.flow.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.errors import BudgetExceededError, BudgetKind
    from dspex_core.spending.budget import Budget

_FACTOR = 2  # what a piece gets, by the dearest piece so far


@dataclass(frozen=True, slots=True)
class Lease:
    """What a piece may spend, by kind; `is_all` says that nothing more is left."""

    limits: Mapping[BudgetKind, float]
    is_all: bool


class Leases:
    """The parts of one budget that are with workers. Threads may share it.

    Args:
        budget: The budget that all pieces spend from.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._changed = threading.Condition()
        self._out: list[Lease] = []
        self._dearest: dict[BudgetKind, float] | None = None

    def take(self, *, whole: bool) -> Lease:
        """Wait until there is a part, and take it.

        Args:
            whole: Whether to take all that is left, once no other piece has a part.

        Raises:
            BudgetExceededError: Nothing is left, and no piece will return any.
        """
        with self._changed:
            while True:
                lease = self._available(whole=whole)
                if lease is not None:
                    self._out.append(lease)
                    return lease
                self._changed.wait()

    def give_back(self, lease: Lease, spent: Mapping[BudgetKind, float]) -> None:
        """Count what a piece has spent, and free the rest of its part."""
        with self._changed:
            self._out.remove(lease)
            self._budget.charge(spent)
            before = self._dearest or {}
            self._dearest = {kind: max(before.get(kind, 0), spent.get(kind, 0)) for kind in lease.limits}
            self._changed.notify_all()

    def refuse(self, error: BudgetExceededError) -> None:
        """Note that a worker that had all that was left has refused a call."""
        self._budget.refusal(error.kind, self._budget.spent[error.kind])

    def _available(self, *, whole: bool) -> Lease | None:
        left = self._left()
        if not self._out:
            self._raise_if_empty(left)
        if whole or self._dearest is None:
            return None if self._out else Lease(left, is_all=True)
        part = {kind: self._part(kind, amount) for kind, amount in left.items()}
        if all(0 < amount <= left[kind] for kind, amount in part.items()):
            return Lease(part, is_all=False)
        return None if self._out else Lease(left, is_all=True)

    def _part(self, kind: BudgetKind, left: float) -> float:
        """Return what a piece gets; half of what is left where none has spent anything yet."""
        if kind == "seconds":
            return left
        dearest = (self._dearest or {}).get(kind, 0)
        part = _FACTOR * dearest if dearest else left / 2
        return math.floor(part) if kind == "calls" else part

    def _left(self) -> dict[BudgetKind, float]:
        spent = self._budget.spent
        out = self._out
        return {  # time passes for all workers alike
            kind: limit - spent[kind] - (0 if kind == "seconds" else sum(lease.limits[kind] for lease in out))
            for kind, limit in self._budget.limits.items()
        }

    def _raise_if_empty(self, left: Mapping[BudgetKind, float]) -> None:
        for kind, amount in left.items():
            if amount <= 0:
                raise self._budget.refusal(kind, self._budget.spent[kind])


@dataclass(frozen=True, slots=True)
class Turn:
    """The step of waiting for a part of the budget."""

    leases: Leases
    whole: bool

    def run(self) -> Lease:
        """Wait in this thread."""
        return self.leases.take(whole=self.whole)

    async def arun(self) -> Lease:
        """Wait without blocking the event loop."""
        return await asyncio.wrap_future(in_thread(self.run))
