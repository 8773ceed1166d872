"""Limits on calls, tokens, dollars and time. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any

from dspex_core.errors import BudgetExceededError, ConfigurationError
from dspex_core.flow import forks
from dspex_core.plain.counts import is_number
from dspex_core.plain.display import value_text
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
        usd: Another name of `dollars`.
        seconds: How long after the first call further ones may begin.

    A call that would exceed a limit raises `BudgetExceededError` instead of being made. The usage of a call is known
    only when it is answered; until then it counts as the mean of earlier calls. So calls under way near a limit may
    exceed it somewhat. Answers from a cache or a cassette are free. Inside a block with its own budget, only that
    budget applies.
    """

    def __init__(
        self,
        *,
        calls: int | None = None,
        tokens: int | None = None,
        dollars: float | None = None,
        usd: float | None = None,
        seconds: float | None = None,
    ) -> None:
        if usd is not None and dollars is not None:
            raise ConfigurationError("`usd` and `dollars` are one limit of a budget: give one of them")
        dollars = usd if dollars is None else dollars
        given: dict[BudgetKind, Any] = {"calls": calls, "tokens": tokens, "dollars": dollars, "seconds": seconds}
        self._limits: dict[BudgetKind, float] = {kind: limit for kind, limit in given.items() if limit is not None}
        if not self._limits or not all(_is_limit(kind, limit) for kind, limit in self._limits.items()):
            raise ConfigurationError(
                "a budget needs a limit of calls, tokens, dollars or seconds, each at least 0, and a whole number of "
                f"calls and tokens, not {value_text(given, 500)}"
            )
        self._refused: BudgetExceededError | None = None
        self._started: float | None = None
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
        """The usage so far: `calls`, `tokens` and, if limited, `dollars` and `seconds`."""
        with self._lock:
            timed: dict[BudgetKind, float] = {"seconds": self._elapsed()} if "seconds" in self._limits else {}
            return {**self._spent, **timed}

    @property
    def refused(self) -> BudgetExceededError | None:
        """The error with which it refused a call first; `None` while there has been room."""
        return self._refused

    def open_call(self) -> None:
        """Count a call that is about to be made.

        Raises:
            BudgetExceededError: Too little is left for the call.
        """
        with self._lock:
            if self._started is None:
                self._started = time.monotonic()
            for kind, limit in self._limits.items():
                spent = self._elapsed() if kind == "seconds" else self._spent[kind]
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
        """Return the error with which a call is refused, and note the first."""
        error = BudgetExceededError(kind=kind, limit=self._limits[kind], spent=spent)
        self._refused = self._refused or error
        return error

    def charge(self, spent: Mapping[BudgetKind, float]) -> None:
        """Count usage from elsewhere, such as another process."""
        with self._lock:
            for kind, amount in spent.items():
                if kind != "seconds":  # the same for all
                    self._spent[kind] += amount

    def _expected(self, kind: BudgetKind) -> float:
        """Return the expected usage of the next call and those under way."""
        if kind == "seconds":
            return 0
        if kind == "calls":
            return 1
        mean = self._spent[kind] / self._answered if self._answered else 0.0
        return mean * (self._under_way + 1)

    def _elapsed(self) -> float:
        return 0.0 if self._started is None else time.monotonic() - self._started

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


class NestedBudget(Budget):
    """Two budgets at once: a call needs room in both, and counts in both.

    Args:
        inner: The one whose limits, usage and refusals are seen.
        outer: The one around it.
    """

    def __init__(self, inner: Budget, outer: Budget) -> None:
        self._inner = inner
        self._outer = outer

    def in_child(self) -> None:
        """Do nothing: each budget has a copy of its own."""

    @property
    def limits(self) -> Mapping[BudgetKind, float]:
        """What may be spent in all, by kind: what is spent inside, and the smaller of both rests."""
        ends: dict[BudgetKind, float] = {}
        within = self._inner.spent
        for budget in (self._inner, self._outer):
            spent = budget.spent
            for kind, limit in budget.limits.items():
                end = within.get(kind, 0) + limit - spent[kind]
                ends[kind] = min(end, ends.get(kind, end))
        return ends

    @property
    def spent(self) -> Mapping[BudgetKind, float]:
        """The usage inside."""
        return self._inner.spent

    @property
    def refused(self) -> BudgetExceededError | None:
        """The first refusal of the inner budget."""
        return self._inner.refused

    def open_call(self) -> None:
        """Count a call that is about to be made.

        Raises:
            BudgetExceededError: One of the two has too little left.
        """
        self._inner.open_call()
        try:
            self._outer.open_call()
        except BudgetExceededError:
            self._inner.close_call("", None)
            raise

    def close_call(self, model: str, response: LMResponse | None) -> None:
        """Count the usage of the call; `None` if it failed."""
        self._inner.close_call(model, response)
        self._outer.close_call(model, response)

    def refusal(self, kind: BudgetKind, spent: float) -> BudgetExceededError:
        """Return the error with which a call is refused, that of the budget that has less left."""
        limits, used = self._inner.limits, self._inner.spent
        is_inner = kind in limits and limits[kind] <= self.limits[kind]
        budget = self._inner if is_inner else self._outer
        return budget.refusal(kind, used[kind] if is_inner else self._outer.spent[kind])

    def charge(self, spent: Mapping[BudgetKind, float]) -> None:
        """Count usage from elsewhere, such as another process."""
        self._inner.charge(spent)
        self._outer.charge(spent)

    def __repr__(self) -> str:
        return f"{self._inner!r} inside {self._outer!r}"


def nested(inner: Budget, outer: Budget | None) -> Budget:
    """Return a budget whose calls count in the outer one, too, if there is one."""
    return inner if outer is None else NestedBudget(inner, outer)


def _is_limit(kind: BudgetKind, value: Any) -> bool:
    if not (is_number(value) and value >= 0):
        return False
    return kind in ("dollars", "seconds") or value == math.inf or value == int(value)  # a half call cannot be made
