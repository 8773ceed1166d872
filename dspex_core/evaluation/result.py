"""The result of an evaluation: a value that can be pickled, saved and compared. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.evaluation.grouped import ExampleResult, by_example, id_of
from dspex_core.stats import Interval, mean_interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.evaluation.case import CaseResult, Phase
    from dspex_core.evaluation.stopping import Stopped
    from dspex_core.example import Example, Prediction


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of an evaluation of which not all cases are kept.

    Args:
        means: The score of each example, the mean of its attempts, in the order of the dataset.
        n_cases: The number of cases.
        n_errors: The number of those that failed.
        cost: Dollars, as far as prices are known.
    """

    means: array[float]
    n_cases: int
    n_errors: int
    cost: float

    def to_json(self) -> dict[str, Any]:
        """Return the figures as JSON data."""
        return {"means": list(self.means), "n_cases": self.n_cases, "n_errors": self.n_errors, "cost": self.cost}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figures:
        """Return what `to_json` wrote."""
        return cls(array("d", data["means"]), data["n_cases"], data["n_errors"], data["cost"])


@dataclass(frozen=True)
class EvaluationResult:
    """The outcome of an evaluation, case by case in the order of the dataset.

    It compares by `mean`: `result >= 0.85`. With repeats, an example is one observation: its attempts count as their
    mean.

    Args:
        metric: The name of the score.
        cases: The attempts at the examples; those that were to be kept, see `Evaluate`'s `keep`.
        figures: The figures of all cases, where not all are kept.
        stopped: Why and when a rule ended it early; `None` if it was not ended so.
    """

    metric: str
    cases: tuple[CaseResult, ...]
    figures: Figures | None = None
    stopped: Stopped | None = None

    @cached_property
    def means(self) -> Sequence[float]:
        """The score of each example: the mean of its attempts."""
        if self.figures is not None:
            return self.figures.means
        if not self.is_repeated:
            return [case.score.value for case in self.cases]
        return [example.mean for example in self.examples]

    @cached_property
    def mean(self) -> float:
        """The mean score, errors included; between 0 and 1 for the built-in metrics."""
        return math.fsum(self.means) / len(self.means) if self.means else 0.0

    @property
    def score(self) -> float:
        """The mean score in percent, with two decimals, as in DSPy."""
        return round(100 * self.mean, 2)

    @cached_property
    def interval(self) -> Interval:
        """The 95 % confidence interval of the mean score; attempts at one example are not independent."""
        return mean_interval(self.means)

    @property
    def n(self) -> int:
        """The number of examples."""
        return len(self.means)

    @property
    def cost(self) -> float:
        """Dollars, as far as prices are known."""
        return self.figures.cost if self.figures else math.fsum(case.usage.cost for case in self.cases)

    @property
    def errors(self) -> tuple[CaseResult, ...]:
        """The cases that failed, of those that are kept."""
        return tuple(case for case in self.cases if case.error is not None)

    @property
    def errors_by_phase(self) -> dict[Phase, tuple[CaseResult, ...]]:
        """The cases that failed, by where they did: program, adapter, metric, timeout, budget."""
        found: dict[Phase, list[CaseResult]] = {}
        for case in self.cases:
            if case.error is not None:
                found.setdefault(case.error.phase, []).append(case)
        return {phase: tuple(cases) for phase, cases in found.items()}

    @cached_property
    def is_repeated(self) -> bool:
        """Whether there are several attempts at an example."""
        return any(case.attempt > 1 for case in self.cases)

    @cached_property
    def examples(self) -> tuple[ExampleResult, ...]:
        """The examples, each with its attempts.

        Raises:
            ConfigurationError: Not all cases are kept.
        """
        if self.figures is not None:
            raise ConfigurationError(
                f"{len(self.cases)} of {len(self)} cases are kept, which do not stand for all: evaluate with keep='all'"
            )
        return by_example(self.cases)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each example: its id, with its place if others have the same id."""
        return tuple(example.name for example in self.examples)

    @property
    def has_ids(self) -> bool:
        """Whether each example has an id of its own."""
        ids = {id_of(example.example) for example in self.examples}
        return None not in ids and len(ids) == len(self.examples)

    @property
    def scores(self) -> dict[str, float]:
        """The score of each example by its name: the mean of its attempts."""
        return {example.name: example.mean for example in self.examples}

    @property
    def results(self) -> list[tuple[Example, Prediction | None, float]]:
        """`(example, prediction, score)` of each case, as in DSPy."""
        return [(case.example, case.prediction, case.score.value) for case in self.cases]

    def __len__(self) -> int:
        return self.figures.n_cases if self.figures else len(self.cases)

    def __ge__(self, threshold: float) -> bool:
        return self.mean >= self._fraction(threshold)

    def __gt__(self, threshold: float) -> bool:
        return self.mean > self._fraction(threshold)

    def __le__(self, threshold: float) -> bool:
        return self.mean <= self._fraction(threshold)

    def __lt__(self, threshold: float) -> bool:
        return self.mean < self._fraction(threshold)

    def __repr__(self) -> str:
        failed = self.figures.n_errors if self.figures else len(self.errors)
        repeated = f", {len(self)} attempts" if self.n != len(self) else ""
        errors = f", {failed} errors" if failed else ""
        stopped = f", {self.stopped}" if self.stopped else ""
        return f"EvaluationResult({self.metric}: {self.mean:.3f}, n={self.n}{repeated}{errors}{stopped})"

    def _fraction(self, threshold: float) -> float:
        if threshold > 1 and all(mean <= 1 for mean in self.means):
            message = f"a mean score is compared as a fraction: write {threshold / 100:g}, or compare result.score"
            raise ValueError(message)
        return threshold
