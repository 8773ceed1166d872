"""Prediction-powered inference: a mean from a few labels of people and many of a judge. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError
from dspex_core.errors.optional import optional
from dspex_core.stats.checks import check_values, checked_confidence
from dspex_core.stats.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST_LABELLED = 3  # the spread around a line through two points is unknown
_FEWEST_JUDGED = 2


@dataclass(frozen=True, slots=True)
class PoweredMean:
    """An estimate of a mean label.

    Args:
        mean: The estimate.
        interval: Its confidence interval.
        weight: How far the judge was trusted: 0 ignores it, 1 takes its mean and corrects that by its mean error.
    """

    mean: float
    interval: Interval
    weight: float


def prediction_powered_mean(
    labels: Sequence[float], predicted: Sequence[float], unlabelled: Sequence[float], *, confidence: float = 0.95
) -> PoweredMean:
    """Return the mean of the labels of all rows, of which few are labelled and all are predicted.

    The mean of the predictions is corrected by their mean error on the labelled rows, so it is unbiased however wrong
    they are; the better they are, the narrower is the interval. Labelled rows are drawn at random from all.

    Sources: Angelopoulos, Bates, Fannjiang, Jordan and Zrnic 2023, "Prediction-powered inference", Science 382; the
    weight that makes the interval narrowest is that of Angelopoulos, Duchi and Zrnic 2024, "PPI++". Their interval is
    the normal one, which holds the truth too rarely with some fifty labels. Here its quantile is Student's, at the
    degrees of freedom of Welch 1947; and where all labels are 0 or 1, it is Wilson's at the effective sample size, as
    in surveys (Korn and Graubard 1998).

    Args:
        labels: The labels of the labelled rows.
        predicted: The predictions for these rows, in the same order.
        unlabelled: The predictions for the other rows.
        confidence: That of the interval.

    Raises:
        ConfigurationError: Less than three rows are labelled or two are not; `labels` and `predicted` differ in length;
            a value is not finite; or the confidence is not between 0 and 1.
    """
    checked_confidence(confidence)
    _check(labels, predicted, unlabelled)
    n, others = len(labels), len(unlabelled)
    spread = _variance([*predicted, *unlabelled])
    weight = _covariance(labels, predicted) / spread / (1 + n / others) if spread else 0.0
    weight = min(1.0, max(0.0, weight))
    rest = [label - weight * guess for label, guess in zip(labels, predicted, strict=True)]
    mean = weight * fmean(unlabelled) + fmean(rest)
    of_rest = _variance(rest) * (n - 1) / (n - 2) / n  # the weight takes a degree of freedom
    of_others = weight**2 * _variance(unlabelled) / others
    quantile = _student(confidence, degrees=_degrees(of_rest, n - 2, of_others, others - 1))
    if all(label in (0, 1) for label in labels):
        share = min(1.0, max(0.0, mean))
        return PoweredMean(share, _wilson(share, of_rest + of_others, quantile, few=n, many=n + others), weight)
    reach = quantile * math.sqrt(of_rest + of_others)
    return PoweredMean(mean, Interval(mean - reach, mean + reach), weight)


def _check(labels: Sequence[float], predicted: Sequence[float], unlabelled: Sequence[float]) -> None:
    if len(labels) != len(predicted):
        raise ConfigurationError(
            f"each label has one prediction, not {len(labels)} labels and {len(predicted)} of them"
        )
    if len(labels) < _FEWEST_LABELLED or len(unlabelled) < _FEWEST_JUDGED:
        raise ConfigurationError(
            f"a corrected mean needs {_FEWEST_LABELLED} labelled rows or more, and {_FEWEST_JUDGED} that are judged "
            f"alone, not {len(labels)} and {len(unlabelled)}"
        )
    for values in (labels, predicted, unlabelled):
        check_values(values)


def _wilson(share: float, variance: float, quantile: float, *, few: int, many: int) -> Interval:
    """Return Wilson's interval of a proportion that is known as well as from so many rows of a simple sample."""
    size = share * (1 - share) / variance if variance else few
    size = min(many, max(few / 2, size))
    weight = quantile**2 / size
    middle = (share + weight / 2) / (1 + weight)
    reach = quantile / (1 + weight) * math.sqrt(share * (1 - share) / size + weight / (4 * size))
    # Rounding must not leave the estimate outside.
    return Interval(max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach)))


def _degrees(one: float, of_one: int, other: float, of_other: int) -> float:
    """Return the degrees of freedom of the sum of two variances (Satterthwaite 1946, Welch 1947)."""
    spread = one**2 / of_one + other**2 / of_other
    return (one + other) ** 2 / spread if spread else of_one


def _student(confidence: float, *, degrees: float) -> float:
    scipy = optional("scipy.special", "an interval of few labels needs SciPy", extra="metrics")
    return float(scipy.stdtrit(degrees, 0.5 + confidence / 2))


def _variance(values: Sequence[float]) -> float:
    return _covariance(values, values)


def _covariance(one: Sequence[float], other: Sequence[float]) -> float:
    of_one, of_other = fmean(one), fmean(other)
    return math.fsum((a - of_one) * (b - of_other) for a, b in zip(one, other, strict=True)) / (len(one) - 1)
