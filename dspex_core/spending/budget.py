"""Limits on calls, tokens and dollars. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from dspex_core.errors import BudgetExceededError, ConfigurationError
from dspex_core.flow import forks
from dspex_core.spending.prices import list_price

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.errors import BudgetKind
    from dspex_core.messages import LMResponse

_log = logging.getLogger("dspex")


class Budget(forks.RenewedInChild):
    """The limits for all calls inside `context(budget=Budget(...))`; threads and tasks may share it.

    Args:
        calls: How many tries of calls may be made, failed ones included.
        tokens: How many tokens, of prompts and completions together.
        dollars: The cost, as the provider reports or else by list price.

    A call that would exceed a limit raises `BudgetExceededError` instead of being made. The usage of a call is known
    only when it is answered; until then it counts as the mean of earlier calls. So calls under way near a limit may
    exceed it somewhat. Answers from a cache or a cassette are free. Inside a block with its own budget, only that
    budget applies.
    """

    def __init__(self, *, calls: int | None = None, tokens: int | None = None, dollars: float | None = None) -> None:
        given: dict[BudgetKind, float | None] = {"calls": calls, "tokens": tokens, "dollars": dollars}
        self._limits = {kind: limit for kind, limit in given.items() if limit is not None}
        if not self._limits or any(limit < 0 for limit in self._limits.values()):
            message = f"a budget needs a limit of calls, tokens or dollars, each at least 0, not {given!r}"
            raise ConfigurationError(message)
        self._lock = threading.Lock()
        self._spent: dict[BudgetKind, float] = {"calls": 0, "tokens": 0, "dollars": 0.0}
        self._answered = 0
        self._under_way = 0
        self._unpriced = False
        forks.watch(self)

    def in_child(self) -> None:
        """Continue with a copy; the parent's further spending is not known here."""
        self._lock = threading.Lock()

    @property
    def limits(self) -> Mapping[BudgetKind, float]:
        """The limits by kind, without those not set."""
        return dict(self._limits)

    @property
    def spent(self) -> Mapping[BudgetKind, float]:
        """The usage so far: `calls`, `tokens` and, if limited, `dollars`."""
        with self._lock:
            return dict(self._spent)

    def open_call(self) -> None:
        """Count a call that is about to be made.

        Raises:
            BudgetExceededError: Too little is left for the call.
        """
        with self._lock:
            for kind, limit in self._limits.items():
                spent = self._spent[kind]
                if spent >= limit or spent + self._expected(kind) > limit:
                    raise self.refusal(kind, spent)
            self._spent["calls"] += 1
            self._under_way += 1

    def close_call(self, model: str, response: LMResponse | None) -> None:
        """Count the usage of the call; `None` if it failed."""
        dollars = self._dollars(model, response) if response and "dollars" in self._limits else 0.0
        with self._lock:
            self._under_way -= 1
            if response is not None:
                self._answered += 1
                self._spent["tokens"] += response.usage.total_tokens
                self._spent["dollars"] += dollars

    def refusal(self, kind: BudgetKind, spent: float) -> BudgetExceededError:
        """Return the error with which a call is refused."""
        return BudgetExceededError(kind=kind, limit=self._limits[kind], spent=spent)

    def charge(self, spent: Mapping[BudgetKind, float]) -> None:
        """Count usage from elsewhere, such as another process."""
        with self._lock:
            for kind, amount in spent.items():
                self._spent[kind] += amount

    def _expected(self, kind: BudgetKind) -> float:
        """Return the expected usage of the next call and those under way."""
        if kind == "calls":
            return 1
        mean = self._spent[kind] / self._answered if self._answered else 0.0
        return mean * (self._under_way + 1)

    def _dollars(self, model: str, response: LMResponse) -> float:
        cost = list_price(model, response.usage) if response.cost is None else response.cost
        if cost is None:
            with self._lock:
                first, self._unpriced = not self._unpriced, True
            if first:
                _log.warning("the price of %r is not known: the budget of dollars does not count its calls", model)
        return cost or 0.0

    def __repr__(self) -> str:
        return f"Budget({', '.join(f'{kind}={limit!r}' for kind, limit in self._limits.items())})"
