"""Stopping as soon as a verdict is settled, at an error rate that holds however often one looks. PYTEST_DONT_REWRITE

An ordinary interval that is looked at after each score finds a difference in most runs of enough length. Here each new
score is a bet against a gate, at odds that are fair if the mean is at the gate: a fortune that grows twentyfold refutes
that at 95 %, at whatever time (Ville's inequality).

Sources: Waudby-Smith and Ramdas 2024, "Estimating means of bounded random variables by betting", Journal of the Royal
Statistical Society B 86 (bets on a grid, section B.8; without replacement, section 5); Waudby-Smith and Ramdas 2020,
"Confidence sequences for sampling without replacement" (NeurIPS).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dspex_core.errors import ConfigurationError
from dspex_core.stats.checks import checked_confidence
from dspex_core.stats.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

_Verdict = Literal["above", "below"]

# Shares of the largest bet that cannot lose more than all. Many small bets find small differences in long runs.
_STAKES = (0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_ROUNDING = 1e-9  # of a mean: sums of binary fractions
_HALVINGS = 30  # of the range of an interval's end


@dataclass(frozen=True, slots=True)
class Decided:
    """The rule to stop as soon as it is settled whether the mean of all scores reaches `min`.

    It has no state: each run has its own, from `start`.

    Args:
        min: The gate, above 0 and up to 1.
        confidence: One minus the rate at which a verdict may be wrong.

    Raises:
        ConfigurationError: `min` or `confidence` is out of range.
    """

    min: float
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if not isinstance(self.min, int | float) or not 0 < self.min <= 1:
            raise ConfigurationError(f"decided(min=...) needs a bound above 0 and up to 1, not {self.min!r}")
        checked_confidence(self.confidence)

    def start(self, n_total: int | None) -> RunningDecision:
        """Return the state of one run over `n_total` examples; `None` if there is no end to them.

        Raises:
            ConfigurationError: `n_total` is less than 1.
        """
        return RunningDecision(self, n_total)


def decided(*, min: float, confidence: float = 0.95) -> Decided:  # noqa: A002  the name that gates have for it
    """Return the rule that ends an evaluation as soon as it is settled on which side of `min` its mean lies.

    The verdict is about the mean over the whole devset: "above" if it is at least `min`, "below" if not. Stopped at any
    time, it differs from the verdict of the full run with a probability of at most one minus the confidence; at the end
    of the devset it is exact. The scores have to lie between 0 and 1.

    This holds if the examples come in random order, and the scores are added in that order. The order in which calls
    end will not do: if hard examples take longer, the first to end are not a random sample. Repeats of one example are
    one score, their mean.

    Raises:
        ConfigurationError: `min` is not above 0 and up to 1, or the confidence not between 0 and 1.
    """
    return Decided(min, confidence)


class RunningDecision:
    """The state of one run: scores are added one by one, and the verdict is read at any time.

    Args:
        rule: The rule that is decided.
        n_total: The number of examples that there are; `None` if there is no end to them.
    """

    def __init__(self, rule: Decided, n_total: int | None) -> None:
        if n_total is not None and n_total < 1:
            raise ConfigurationError(f"a decision is made on at least one example, not on {n_total!r}")
        self.rule = rule
        self.n_total = n_total
        self._scores: list[float] = []
        self._sum = 0.0
        self._above = [1 / len(_STAKES)] * len(_STAKES)  # fortunes of those who bet that the mean is above the gate
        self._below = list(self._above)
        self._verdict: _Verdict | None = None

    @property
    def verdict(self) -> _Verdict | None:
        """Whether the mean of all examples reaches the gate; `None` while that is open. Once settled, it stays."""
        return self._verdict

    @property
    def n(self) -> int:
        """The number of scores so far."""
        return len(self._scores)

    @property
    def interval(self) -> Interval:
        """The two-sided interval of the mean of all examples, valid whenever one stops.

        Raises:
            ConfigurationError: There is no score yet.
        """
        return anytime_interval(self._scores, n_total=self.n_total, confidence=self.rule.confidence)

    def add(self, score: float) -> None:
        """Add the score of the next example of the random order.

        Raises:
            ConfigurationError: The score is not a number from 0 to 1, or there are more scores than examples.
        """
        if not isinstance(score, int | float) or not 0 <= score <= 1:
            raise ConfigurationError(
                f"decided(min=...) needs scores from 0 to 1, not {score!r}: scale the metric, or leave `stop_when` out"
            )
        if self.n_total is not None and self.n >= self.n_total:
            raise ConfigurationError(f"a score was added after those of all {self.n_total} examples: {score!r}")
        if self._verdict is None:
            self._bet(score)
        self._scores.append(score)
        self._sum += score
        if self._verdict is None:
            self._verdict = self._decided()

    def _bet(self, score: float) -> None:
        fair = self._fair()
        self._above = [
            fortune * (1 + stake * (score - fair) / fair) for fortune, stake in zip(self._above, _STAKES, strict=True)
        ]
        if fair < 1:
            lost = (score - fair) / (1 - fair)
            self._below = [fortune * (1 - stake * lost) for fortune, stake in zip(self._below, _STAKES, strict=True)]

    def _fair(self) -> float:
        """Return the mean of the examples that are left, if that of all is at the gate; above 0 and up to 1."""
        if self.n_total is None:
            return self.rule.min
        left = self.n_total - self.n
        return min((self.n_total * self.rule.min - self._sum) / left, 1.0)

    def _decided(self) -> _Verdict | None:
        if self.n_total is not None:
            needed = self.n_total * (self.rule.min - _ROUNDING) - self._sum
            if needed <= 0:
                return "above"
            if needed > self.n_total - self.n:
                return "below"
        enough = 1 / (1 - self.rule.confidence)
        if sum(self._above) >= enough:
            return "above"
        return "below" if sum(self._below) >= enough else None


def anytime_interval(scores: Sequence[float], *, n_total: int | None = None, confidence: float = 0.95) -> Interval:
    """Return an interval of the mean that stays valid under peeking: a confidence sequence at its latest time.

    The betting confidence sequence of Waudby-Smith and Ramdas 2024, with bets on a grid: all means that the scores so
    far do not refute. Whoever looks after each score and stops when it pleases is still right at the confidence given.
    It is wider than an interval for a number of scores that was fixed beforehand.

    Args:
        scores: Scores from 0 to 1, in the random order in which they were sampled.
        n_total: The size of the dataset that they were sampled from, without replacement; the interval is that of the
            mean of all of it. `None` for scores that are drawn independently.
        confidence: The confidence of the interval, at all times together.

    Raises:
        ConfigurationError: `scores` is empty or longer than `n_total`, a score is not between 0 and 1, or the
            confidence is not.
    """
    if not scores or not all(0 <= score <= 1 for score in scores):
        raise ConfigurationError(
            f"an anytime interval needs at least one score, and scores from 0 to 1, not {scores!r}"
        )
    if n_total is not None and n_total < len(scores):
        raise ConfigurationError(f"{len(scores)} scores cannot be a sample of {n_total} examples without replacement")
    limit = math.log(2 * len(_STAKES) / (1 - checked_confidence(confidence)))
    low = _lower_end(scores, n_total, limit)
    high = 1 - _lower_end([1 - score for score in scores], n_total, limit)
    mean = math.fsum(scores) / len(scores)
    if n_total is None:  # which refutes both sides with a probability of less than one minus the confidence
        return Interval(min(low, mean), max(high, mean))
    return Interval(min(low, high), max(low, high))


def _lower_end(scores: Sequence[float], n_total: int | None, limit: float) -> float:
    """Return the least mean that bets on a higher one do not refute; these win less, the higher the mean."""
    from dspex_core.errors.foreign_code import foreign_code

    with foreign_code():
        import numpy as np  # takes longer to import than the rest of an evaluation

    drawn = np.asarray(scores, dtype=float)
    total = float(drawn.sum())
    before = np.concatenate([[0.0], np.cumsum(drawn)[:-1]])
    count = np.arange(len(drawn))
    stakes = np.asarray(_STAKES)[:, None]

    def is_refuted(mean: float) -> bool:
        fair = (n_total * mean - before) / (n_total - count) if n_total is not None else np.full(len(drawn), mean)
        fair = np.clip(fair, 1e-12, 1.0)
        fortunes = np.log1p(stakes * (drawn / fair - 1)).sum(axis=1)
        return bool(np.logaddexp.reduce(fortunes) >= limit)

    # No mean of a finite dataset is below that of these scores and zeros, or above that of these and ones.
    low = 0.0 if n_total is None else total / n_total
    high = 1.0 if n_total is None else (total + n_total - len(drawn)) / n_total
    if not is_refuted(low):
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_refuted(middle) else (low, middle)
    return low
