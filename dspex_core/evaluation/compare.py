"""Two evaluations of the same examples, compared pair by pair. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dspex_core.errors import ConfigurationError
from dspex_core.stats import paired_p

if TYPE_CHECKING:
    from collections.abc import Mapping

TOLERANCE = 0.02  # a drop of up to two points is never called a regression
SIGNIFICANCE = 0.05

Outcome = Literal["improved", "not better", "regressed"]


@dataclass(frozen=True, slots=True)
class Pair:
    """The scores of one example."""

    example: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the same examples score before and after a change.

    Args:
        metric: The name of the score.
        pairs: The examples that both sides have, in the order of the first.
        unpaired: The names of those that one side has alone; they do not count.
        p_value: Of the mean difference, paired; exact McNemar for scores of 0 and 1.
    """

    metric: str
    pairs: tuple[Pair, ...]
    unpaired: tuple[str, ...]
    p_value: float

    @property
    def before(self) -> float:
        """The mean before."""
        return math.fsum(pair.before for pair in self.pairs) / len(self.pairs)

    @property
    def after(self) -> float:
        """The mean after."""
        return math.fsum(pair.after for pair in self.pairs) / len(self.pairs)

    @property
    def difference(self) -> float:
        """The mean difference; positive where the change is for the better."""
        return math.fsum(pair.after - pair.before for pair in self.pairs) / len(self.pairs)

    @property
    def lost(self) -> tuple[str, ...]:
        """The names of the examples that score less."""
        return tuple(pair.example for pair in self.pairs if pair.after < pair.before)

    @property
    def gained(self) -> tuple[str, ...]:
        """The names of the examples that score more."""
        return tuple(pair.example for pair in self.pairs if pair.after > pair.before)

    @property
    def outcome(self) -> Outcome:
        """Better by any margin is improved; worse beyond tolerance and chance is regressed."""
        if self.difference > 0:
            return "improved"
        if self.difference < -TOLERANCE and self.p_value < SIGNIFICANCE:
            return "regressed"
        return "not better"

    def describe(self, before: str = "before", after: str = "after", *, outcome: str | None = None) -> str:
        """Return the comparison in one line, in which the sides have these names; `outcome` is what is made of it."""
        return (
            f"{outcome or self.outcome}: {before} {self.before:.3f}, {after} {self.after:.3f} "
            f"({self.metric}, n={len(self.pairs)}, {len(self.gained)} gained, {len(self.lost)} lost, "
            f"p={self.p_value:.3f})"
        )

    __str__ = describe

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON data, with what follows from the pairs."""
        return {
            "metric": self.metric,
            "outcome": self.outcome,
            "n": len(self.pairs),
            "before": self.before,
            "after": self.after,
            "difference": self.difference,
            "p_value": self.p_value,
            "lost": list(self.lost),
            "gained": list(self.gained),
            "unpaired": list(self.unpaired),
            "scores": {pair.example: [pair.before, pair.after] for pair in self.pairs},
        }


class Evaluated(Protocol):
    """The part of an evaluation's result that a comparison needs."""

    @property
    def metric(self) -> str:
        """The name of the score."""

    @property
    def n(self) -> int:
        """The number of examples."""

    @property
    def has_ids(self) -> bool:
        """Whether each example has an id of its own."""

    @property
    def scores(self) -> Mapping[str, float]:
        """The score of each example by its name."""


def compare(before: Evaluated, after: Evaluated) -> Comparison:
    """Compare two evaluations, paired by the ids of their examples.

    Examples without an id, or with that of another, are paired by their places.

    Raises:
        ConfigurationError: They have no example in common, or not as many where places count; or a score is
            not finite.
    """
    if before.n != after.n and not (before.has_ids and after.has_ids):
        raise ConfigurationError(
            f"evaluations of {before.n} and {after.n} examples cannot be paired, since some examples "
            "have no id of their own: give each an `id` field, or evaluate both on the same examples"
        )
    return compare_scores(before.scores, after.scores, metric=after.metric)


def compare_scores(before: Mapping[str, float], after: Mapping[str, float], *, metric: str) -> Comparison:
    """Compare scores by the names of their examples, such as those of a stored baseline with new ones.

    Raises:
        ConfigurationError: They have no example in common, or a score is not finite.
    """
    pairs = tuple(Pair(name, score, after[name]) for name, score in before.items() if name in after)
    if not pairs:
        raise ConfigurationError(
            f"there is nothing to compare: none of the {len(before)} examples before is among the {len(after)} after"
        )
    unpaired = tuple(name for name in {**before, **after} if name not in before or name not in after)
    return Comparison(metric, pairs, unpaired, paired_p([pair.after - pair.before for pair in pairs]))
