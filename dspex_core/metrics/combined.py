"""Metrics made of metrics: all of them, a weighted mean, a threshold. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.flow.steps import Call, adrive, drive, is_async
from dspex_core.metrics.score import NamedMetric, Score, as_score, metric_name
from dspex_core.plain.counts import is_number

if TYPE_CHECKING:
    from dspex_core.flow.steps import Flow

Metric = Callable[..., Any]


@dataclass(frozen=True, slots=True, repr=False)
class Combined(NamedMetric):
    """A metric that asks others, one after the other, and makes one score of theirs.

    `details` has the score of each by its name, and the feedback is all of theirs.

    Args:
        name: What it is made of; reports list it under this name.
        metrics: The others.
        combine: Returns the value, from their scores in their order.
        shown: How it was made, for the `repr`.
    """

    name: str
    metrics: tuple[Metric, ...]
    combine: Callable[[Sequence[Score]], float]
    shown: str = ""

    def __repr__(self) -> str:
        return self.shown

    def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Any:
        """Return the score.

        Raises:
            ValueError: One of the metrics did not return a score; the message names it.
        """
        return drive(self.flow(example, prediction, trace))

    async def acall(self, example: Any, prediction: Any, trace: Any = None) -> Score:
        """Return the score without blocking the event loop."""
        return await adrive(self.flow(example, prediction, trace))

    def flow(self, example: Any, prediction: Any, trace: Any = None) -> Flow[Score]:
        """Ask each metric, sync or async; one that takes no trace gets none unless there is one."""
        arguments = (example, prediction) if trace is None else (example, prediction, trace)
        scores: list[Score] = []
        for metric in self.metrics:
            result = yield Call(metric, arguments)
            scores.append(as_score(result, metric_name(metric)))
        details = dict(zip(_names(self.metrics), (score.value for score in scores), strict=True))
        return Score(self.combine(scores), " ".join(score.feedback for score in scores if score.feedback), details)


class AsyncCombined(Combined):
    """A combined metric of which a part is async, so that its call is, too."""

    __slots__ = ()

    async def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Score:
        """Return the score."""
        return await self.acall(example, prediction, trace)


def all_of(*metrics: Metric, name: str | None = None) -> Combined:
    """Make a metric that is right where all others are: its value is their lowest.

    A metric that is 1 or 0 has to be 1; of one with values between, use `at_least` where a bound is meant.

    Args:
        *metrics: Functions, judges, or metrics of this library; sync or async.
        name: The name in reports; by default what it is made of, such as `all_of(exact_match,f1)`.

    Raises:
        ConfigurationError: There are no metrics, or one cannot be called.
    """
    return _combined("all_of", metrics, _lowest, name=name, shown=", ".join(map(repr, metrics)))


def weighted(*pairs: tuple[Metric, float] | Mapping[Metric, float], name: str | None = None) -> Combined:
    """Make a metric of the weighted mean of others: `weighted((exact_match("intent"), 3), (f1("reply"), 1))`.

    Args:
        *pairs: A metric with its weight each, or one mapping from metrics to weights. Weights may have any sum.
        name: The name in reports; by default what it is made of, such as `weighted(3*exact_match,1*f1)`.

    Raises:
        ConfigurationError: There are no metrics, one cannot be called, or a weight is not a finite number above 0.
    """
    found = [pair for given in pairs for pair in (given.items() if isinstance(given, Mapping) else [given])]
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in found):  # noqa: PLR2004  a metric and a weight
        raise ConfigurationError(f"weighted needs pairs of a metric and its weight, not {found!r}")
    weights = [weight for _, weight in found]
    for weight in weights:
        if not (is_number(weight) and 0 < weight < math.inf):
            raise ConfigurationError(f"weighted needs weights that are finite numbers above 0, not {weight!r}")
    metrics = tuple(metric for metric, _ in found)
    shown = ", ".join(f"({metric!r}, {weight!r})" for metric, weight in found)
    prefixes = [f"{weight:g}*" for weight in weights]
    combine = partial(_mean, weights=tuple(weights))
    return _combined("weighted", metrics, combine, name=name, shown=shown, prefixes=prefixes)


def at_least(metric: Metric, threshold: float, *, name: str | None = None) -> Combined:
    """Make a metric that is 1 where another's score is at least a threshold, and 0 below it.

    Args:
        metric: A function, a judge, or a metric of this library; sync or async.
        threshold: The least score that is good enough.
        name: The name in reports; by default what it is made of, such as `at_least(f1,0.8)`.

    Raises:
        ConfigurationError: The metric cannot be called, or the threshold is not a finite number.
    """
    if not (is_number(threshold) and math.isfinite(threshold)):
        raise ConfigurationError(f"at_least needs a finite number as threshold, not {threshold!r}")
    made = _combined("at_least", (metric,), partial(_reaches, threshold=threshold), name=name, shown=repr(metric))
    called = name or f"{made.name[:-1]},{threshold:g})"
    return type(made)(called, made.metrics, made.combine, f"{made.shown[:-1]}, {threshold!r})")


def _combined(
    kind: str,
    metrics: tuple[Metric, ...],
    combine: Callable[[Sequence[Score]], float],
    *,
    name: str | None,
    shown: str,
    prefixes: Sequence[str] = (),
) -> Combined:
    if not metrics:
        raise ConfigurationError(f"{kind} needs at least one metric")
    for metric in metrics:
        if not callable(metric) or isinstance(metric, type):
            raise ConfigurationError(f"{kind} needs metrics that can be called, not {metric!r}")
    made = AsyncCombined if any(map(is_async, metrics)) else Combined
    named = [
        f"{prefix}{metric_name(metric)}"
        for prefix, metric in zip(prefixes or [""] * len(metrics), metrics, strict=True)
    ]
    return made(name or f"{kind}({','.join(named)})", metrics, combine, f"{kind}({shown})")


def _names(metrics: Sequence[Metric]) -> list[str]:
    """Return the metrics' names; of several with one name, how they were made."""
    names = [metric_name(metric) for metric in metrics]
    unique = [repr(metric) if names.count(name) > 1 else name for name, metric in zip(names, metrics, strict=True)]
    return [f"{name} {place}" if unique.count(name) > 1 else name for place, name in enumerate(unique, 1)]


def _lowest(scores: Sequence[Score]) -> float:
    return min(score.value for score in scores)


def _mean(scores: Sequence[Score], *, weights: Sequence[float]) -> float:
    values = [score.value for score in scores]
    if len(set(values)) == 1:  # which rounding would miss
        return values[0]
    return math.fsum(weight * value for weight, value in zip(weights, values, strict=True)) / math.fsum(weights)


def _reaches(scores: Sequence[Score], *, threshold: float) -> float:
    return float(scores[0].value >= threshold)
