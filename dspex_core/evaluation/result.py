"""The results of an evaluation: values that can be pickled or written as JSON. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dspex_core.stats import Interval, mean_interval

if TYPE_CHECKING:
    from dspex_core.evaluation.case import CaseResult
    from dspex_core.example import Example, Prediction


@dataclass(frozen=True)
class EvaluationResult:
    """The outcome of an evaluation, case by case in the order of the dataset.

    It compares by `mean`: `result >= 0.85`.
    """

    metric: str
    cases: tuple[CaseResult, ...]

    @cached_property
    def mean(self) -> float:
        """The mean score, errors included; between 0 and 1 for the built-in metrics."""
        return sum(case.score.value for case in self.cases) / len(self.cases) if self.cases else 0.0

    @property
    def score(self) -> float:
        """The mean score in percent, with two decimals, as in DSPy."""
        return round(100 * self.mean, 2)

    @cached_property
    def interval(self) -> Interval:
        """The 95 % confidence interval of the mean score."""
        return mean_interval([case.score.value for case in self.cases])

    @property
    def errors(self) -> tuple[CaseResult, ...]:
        """The cases in which the program or the metric raised."""
        return tuple(case for case in self.cases if case.error is not None)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of each case's example: its id, with its place if others have the same id."""
        ids = [case.example.id for case in self.cases]
        count = Counter(ids)
        return tuple(
            f"example {number}" if name is None else name if count[name] == 1 else f"{name} (example {number})"
            for number, name in enumerate(ids, 1)
        )

    @property
    def has_ids(self) -> bool:
        """Whether each example has an id of its own."""
        ids = {case.example.id for case in self.cases}
        return None not in ids and len(ids) == len(self.cases)

    @property
    def scores(self) -> dict[str, float]:
        """The score of each case by the name of its example."""
        return {name: case.score.value for name, case in zip(self.names, self.cases, strict=True)}

    @property
    def results(self) -> list[tuple[Example, Prediction | None, float]]:
        """`(example, prediction, score)` of each case, as in DSPy."""
        return [(case.example, case.prediction, case.score.value) for case in self.cases]

    def __len__(self) -> int:
        return len(self.cases)

    def __ge__(self, threshold: float) -> bool:
        return self.mean >= self._fraction(threshold)

    def __gt__(self, threshold: float) -> bool:
        return self.mean > self._fraction(threshold)

    def __le__(self, threshold: float) -> bool:
        return self.mean <= self._fraction(threshold)

    def __lt__(self, threshold: float) -> bool:
        return self.mean < self._fraction(threshold)

    def __repr__(self) -> str:
        errors = f", {len(self.errors)} errors" if self.errors else ""
        return f"EvaluationResult({self.metric}: {self.mean:.3f}, n={len(self)}{errors})"

    def _fraction(self, threshold: float) -> float:
        if threshold > 1 and all(case.score.value <= 1 for case in self.cases):
            message = f"a mean score is compared as a fraction: write {threshold / 100:g}, or compare result.score"
            raise ValueError(message)
        return threshold
