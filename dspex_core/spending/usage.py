"""Counters of tokens and cost. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

from dspex_core.messages import LMResponse, Usage
from dspex_core.spending.prices import list_price


@dataclass(frozen=True, slots=True)
class UsageTotals:
    """The usage of finished calls.

    Args:
        calls: How many calls were answered, by the LM or from a cache.
        cached_calls: How many of them a cache or a cassette answered.
        by_model: Tokens per model, those of cached calls included.
        paid_by_model: Tokens per model without those of cached calls.
        cost: Dollars, as far as prices are known.
    """

    calls: int = 0
    cached_calls: int = 0
    by_model: Mapping[str, Usage] = field(default_factory=dict)
    paid_by_model: Mapping[str, Usage] = field(default_factory=dict)
    cost: float = 0.0

    @property
    def total(self) -> Usage:
        """Tokens of all models together."""
        return sum(self.by_model.values(), Usage())

    def get_total_tokens(self) -> dict[str, dict[str, int]]:
        """Return the tokens of each model, without those of cached calls, as `Prediction.get_lm_usage` does."""
        return _token_counts(self.paid_by_model)

    def to_json(self) -> dict[str, Any]:
        """Return the totals as JSON data."""
        return {
            "calls": self.calls,
            "cached_calls": self.cached_calls,
            "cost": self.cost,
            "by_model": {model: usage.to_json() for model, usage in self.by_model.items()},
            "paid_by_model": {model: usage.to_json() for model, usage in self.paid_by_model.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> UsageTotals:
        """Return the totals that `to_json` wrote."""
        tokens = {
            name: {model: Usage(**usage) for model, usage in data[name].items()}
            for name in ("by_model", "paid_by_model")
        }
        return cls(data["calls"], data["cached_calls"], cost=data["cost"], **tokens)


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run of a program took: seconds, and the usage of its LM calls so far."""

    seconds: float
    usage: UsageTotals | UsageTracker


@dataclass(slots=True)
class UsageTracker:
    """The usage of the calls inside one `track_usage` block.

    Args:
        parent: The tracker of the block around, which counts the same calls.
        calls: How many calls were answered, by the LM or from a cache.
        cached_calls: How many of them a cache or a cassette answered.
        by_model: Tokens per model, those of cached calls included.
        paid_by_model: Tokens per model without those of cached calls.
    """

    parent: UsageTracker | None = None
    calls: int = 0
    cached_calls: int = 0
    by_model: dict[str, Usage] = field(default_factory=dict)
    paid_by_model: dict[str, Usage] = field(default_factory=dict)
    _said_cost: float = field(default=0.0, repr=False)
    _unpriced: dict[str, Usage] = field(default_factory=dict, repr=False)
    _entries: dict[str, list[Usage | Mapping[str, Any]]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def usage_data(self) -> dict[str, list[dict[str, Any]]]:
        """The usage of each paid call, by model, in the order of the calls."""
        with self._lock:
            return {model: [_entry(each) for each in entries] for model, entries in self._entries.items()}

    @property
    def total(self) -> Usage:
        """Tokens of all models together."""
        return sum(self.by_model.values(), Usage())

    @property
    def cost(self) -> float:
        """Dollars, as providers reported or else by list price, as far as prices are known. Cached calls are free."""
        with self._lock:
            unpriced = dict(self._unpriced)
        return self._said_cost + sum(list_price(model, usage) or 0.0 for model, usage in unpriced.items())

    def get_total_tokens(self) -> dict[str, dict[str, Any]]:
        """Return the tokens of each model, without those of cached calls, as `Prediction.get_lm_usage` does."""
        return {model: reduce(_merged, entries, {}) for model, entries in self.usage_data.items() if entries}

    def add_usage(self, lm: str, usage_entry: Mapping[str, Any]) -> None:
        """Count a call that was made elsewhere.

        Args:
            lm: The model.
            usage_entry: Its counts, in providers' form: `{"prompt_tokens": 9, "completion_tokens": 2, ...}`.
        """
        usage = Usage(usage_entry.get("prompt_tokens") or 0, usage_entry.get("completion_tokens") or 0)
        with self._lock:
            self.calls += 1
            for counts in (self.by_model, self.paid_by_model, self._unpriced):
                _count(counts, lm, usage)
            self._entries.setdefault(lm, []).append(usage_entry)
        if self.parent is not None:
            self.parent.add_usage(lm, usage_entry)

    def totals(self) -> UsageTotals:
        """Return the totals so far, as an immutable value that can be pickled."""
        cost = self.cost
        with self._lock:
            return UsageTotals(self.calls, self.cached_calls, dict(self.by_model), dict(self.paid_by_model), cost)

    def add(self, model: str, response: LMResponse) -> None:
        """Count one answered call of a model."""
        answered_by = response.lm or model
        with self._lock:
            self.calls += 1
            self.cached_calls += response.cached
            _count(self.by_model, answered_by, response.usage)
            if not response.cached:
                _count(self.paid_by_model, answered_by, response.usage)
                self._entries.setdefault(answered_by, []).append(response.usage)
                if response.cost is None:
                    _count(self._unpriced, answered_by, response.usage)
                else:
                    self._said_cost += response.cost
        if self.parent is not None:
            self.parent.add(model, response)


def _token_counts(by_model: Mapping[str, Usage]) -> dict[str, dict[str, int]]:
    return {model: {**usage.to_json(), "total_tokens": usage.total_tokens} for model, usage in by_model.items()}


def _count(counts: dict[str, Usage], model: str, usage: Usage) -> None:
    known = counts.get(model)
    counts[model] = usage if known is None else known + usage  # most trackers count one call


def _entry(usage: Usage | Mapping[str, Any]) -> dict[str, Any]:
    return {**usage.to_json(), "total_tokens": usage.total_tokens} if isinstance(usage, Usage) else dict(usage)


def _merged(total: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    """Add up counts, those inside of others, too."""
    merged = dict(total)
    for name, count in entry.items():
        if isinstance(count, Mapping):
            merged[name] = _merged(merged.get(name) or {}, count)
        else:
            merged[name] = (merged.get(name) or 0) + (count or 0)
    return merged
