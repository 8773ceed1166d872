"""Metrics of what a prediction took: seconds, dollars, tokens. PYTEST_DONT_REWRITE

`Evaluate` notes them on each prediction before it asks the metric.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.example import Prediction
from dspex_core.messages import Usage
from dspex_core.metrics.score import NamedMetric, Score
from dspex_core.spending.prices import list_price
from dspex_core.spending.usage import Spent, UsageTotals, UsageTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True, repr=False)
class SpentMetric(NamedMetric):
    """A metric of what a prediction took, in one unit.

    Args:
        name: The unit's metric, under which reports list it.
        measure: Returns the amount.
        at_most: The most that is right; `None` where the amount itself is the score.
    """

    name: str
    measure: Callable[[Any], float]
    at_most: float | None

    def __repr__(self) -> str:
        return f"{self.name}({'' if self.at_most is None else self.at_most})"

    def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Score:
        """Return whether the amount is within the bound, or the amount.

        Raises:
            ConfigurationError: The prediction does not know what it took.
        """
        amount = self.measure(prediction)
        details = {self.name: amount}
        if self.at_most is None:
            return Score(amount, details=details)
        if amount <= self.at_most:
            return Score(1.0, details=details)
        return Score(0.0, f"{self.name} should be at most {self.at_most:g} but is {amount:.4g}.", details)


@contextmanager
def spent_noted(prediction: Any, seconds: float, usage: UsageTotals | UsageTracker | None) -> Iterator[None]:
    """Let a prediction know what it took while it is scored."""
    if not isinstance(prediction, Prediction) or usage is None:
        yield
        return
    prediction.set_spent(Spent(seconds, usage))
    try:
        yield
    finally:
        prediction.set_spent(None)


def latency(at_most: float | None = None) -> SpentMetric:
    """Make a metric of the seconds that the program took: 1 where they are at most so many, else 0.

    Without a bound, the score is the number of seconds: less is better. It takes `Evaluate`, which measures them. A
    reply from a cache or a cassette takes no time; a gate on `latency` knows the seconds of the recording.
    """
    return _metric("latency", _seconds, at_most)


def cost(at_most: float | None = None) -> SpentMetric:
    """Make a metric of the dollars that the program's LM calls cost: 1 where they are at most so many, else 0.

    Without a bound, the score is the number of dollars: less is better. Replies from a cache count by their list price,
    so that the score is the same with a cache. It takes `Evaluate`, or `configure(track_usage=True)`.
    """
    return _metric("cost", _dollars, at_most)


def tokens(at_most: float | None = None) -> SpentMetric:
    """Make a metric of the tokens of the program's LM calls: 1 where they are at most so many, else 0.

    Without a bound, the score is the number of tokens: less is better. Those of replies from a cache count, too. It
    takes `Evaluate`, or `configure(track_usage=True)`.
    """
    return _metric("tokens", _tokens, at_most)


def _metric(name: str, measure: Callable[[Any], float], at_most: float | None) -> SpentMetric:
    if at_most is not None and (isinstance(at_most, bool) or not 0 <= at_most < math.inf):
        raise ConfigurationError(f"{name} needs at_most >= 0, not {at_most!r}")
    return SpentMetric(name, measure, at_most)


def _seconds(prediction: Any) -> float:
    spent = _spent(prediction)
    if spent is None:
        raise ConfigurationError("latency needs a prediction that Evaluate has made: it measures the seconds")
    return spent.seconds


def _tokens(prediction: Any) -> float:
    return float(sum(usage.total_tokens for usage in _usage(prediction, "tokens").by_model.values()))


def _dollars(prediction: Any) -> float:
    totals = _usage(prediction, "cost")
    prices = {model: list_price(model, usage) for model, usage in totals.by_model.items() if usage.total_tokens}
    unknown = [model for model, price in prices.items() if price is None]
    if unknown and (totals.cached_calls or not totals.cost):
        raise ConfigurationError(f"cost needs the prices of the models, and that of {unknown[0]!r} is not known")
    return totals.cost if not totals.cached_calls and totals.cost else sum(price or 0.0 for price in prices.values())


def _usage(prediction: Any, metric: str) -> UsageTotals | UsageTracker:
    spent = _spent(prediction)
    if spent is not None:
        return spent.usage
    counted = prediction.get_lm_usage() if isinstance(prediction, Prediction) else None
    if counted is None:
        raise ConfigurationError(
            f"{metric} needs a prediction that knows its usage: run it with Evaluate, or configure(track_usage=True)"
        )
    counts = {
        model: Usage(entry.get("prompt_tokens") or 0, entry.get("completion_tokens") or 0)
        for model, entry in counted.items()
    }
    return UsageTotals(len(counts), by_model=counts, paid_by_model=counts)


def _spent(prediction: Any) -> Spent | None:
    found = prediction.get_spent() if isinstance(prediction, Prediction) else None
    return found if isinstance(found, Spent) else None
