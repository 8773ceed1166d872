"""The mean score of many judged rows, corrected for the judge's own errors. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dspex_core.errors import ConfigurationError
from dspex_core.judges.agreement import Calibration
from dspex_core.metrics.score import as_score
from dspex_core.stats import Interval, mean_interval, prediction_powered_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@runtime_checkable
class Evaluated(Protocol):
    """An `EvaluationResult`, which stands above the judges."""

    @property
    def cases(self) -> Sequence[Any]:
        """The outcome of each example."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """The mean score that people would give, estimated from a judge's scores and a few labels.

    Args:
        mean, interval: The estimate, and its confidence interval.
        naive_mean, naive_interval: Those of the judge's scores alone, which take it for infallible.
        labelled, judged: How many rows a person has labelled, and how many the judge alone has scored.
        weight: How far the judge was trusted: 0 takes the labels alone.
        confidence: That of both intervals.
    """

    mean: float
    interval: Interval
    naive_mean: float
    naive_interval: Interval
    labelled: int
    judged: int
    weight: float
    confidence: float

    def to_table(self) -> str:
        """Return both means with their intervals as a text."""
        rows = {
            "corrected": (self.mean, self.interval),
            "judge alone": (self.naive_mean, self.naive_interval),
        }
        lines = [f"{name:<11}  {mean:.3f}  [{span.low:.3f}, {span.high:.3f}]" for name, (mean, span) in rows.items()]
        shown = f"{self.judged} rows judged, {self.labelled} labelled; {self.confidence:.0%} intervals"
        return "\n".join([*lines, f"{shown}; weight of the judge {self.weight:.2f}"])

    def __str__(self) -> str:
        return self.to_table()


def corrected_mean(
    judged: Iterable[Any] | Evaluated, labelled: Calibration | Iterable[tuple[Any, Any]], *, confidence: float
) -> Corrected:
    """Return the corrected mean of judged rows; see `BaseJudge.corrected`."""
    scores = _values(_scores_of(judged) if isinstance(judged, Evaluated) else judged, "judged")
    pairs = labelled.pairs if isinstance(labelled, Calibration) else list(labelled)
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):  # noqa: PLR2004  a pair
        raise ConfigurationError("labelled must be a Calibration, or pairs of the judge's score and the person's")
    of_judge, labels = (_values([pair[place] for pair in pairs], "labelled") for place in (0, 1))
    powered = prediction_powered_mean(labels, of_judge, scores, confidence=confidence)
    return Corrected(
        powered.mean,
        powered.interval,
        naive_mean=fmean(scores),
        naive_interval=mean_interval(scores, confidence=confidence),
        labelled=len(labels),
        judged=len(scores),
        weight=powered.weight,
        confidence=confidence,
    )


def _scores_of(result: Evaluated) -> list[Any]:
    """Return the scores of an evaluation.

    Raises:
        ConfigurationError: The judge failed on an example, so the evaluation has only a stand-in for its score.
    """
    failed = [case.error for case in result.cases if case.error is not None and case.error.phase == "metric"]
    if failed:
        raise ConfigurationError(f"the judge failed on {len(failed)} rows, which have no score; the first: {failed[0]}")
    return [case.score for case in result.cases]


def _values(scores: Iterable[Any], name: str) -> list[float]:
    """Return scores as numbers.

    Raises:
        ConfigurationError: One is not a score.
    """
    try:
        return [as_score(score).value for score in scores]
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name} must be scores: numbers or `Score`s; {error}") from error
