"""The result of an evaluation: a value that can be pickled, saved and compared. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.evaluation.compare import compare
from dspex_core.evaluation.files import load, save
from dspex_core.evaluation.grouped import ExampleResult, by_example, id_of
from dspex_core.evaluation.rejudge import CaseJudge, rejudging
from dspex_core.evaluation.rows import records_of
from dspex_core.evaluation.slices import slices_by
from dspex_core.evaluation.stopping import Stopped
from dspex_core.evaluation.table import table_of
from dspex_core.flow.steps import adrive, drive, in_own_loop
from dspex_core.metrics.score import metric_name
from dspex_core.programs.inputs import is_async_alone
from dspex_core.stats import Interval, clustered_interval, mean_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike

    from dspex_core.evaluation.case import CaseResult, Phase
    from dspex_core.evaluation.compare import Comparison
    from dspex_core.evaluation.run import Metric
    from dspex_core.evaluation.slices import Slices
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
        """The 95 % confidence interval of the mean score; attempts at one example are not independent.

        Of an evaluation that a rule has ended early, it is that of the mean of all examples, and stays valid although
        the scores decided when to stop (`stats.anytime_interval`); an ordinary one would be too narrow.
        """
        if self.stopped is not None and self.stopped.interval is not None and self.n < self.stopped.of:
            return self.stopped.interval
        if self.is_repeated and self.figures is None:
            return clustered_interval([example.scores for example in self.examples])
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

    def __getitem__(self, name: str) -> Any:
        """Return `score` or `results` by its name, as in DSPy."""
        return self.toDict()[name]

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def keys(self) -> list[str]:
        """Return the names that may be used as keys."""
        return ["score", "results"]

    def values(self) -> list[Any]:
        """Return `score` and `results`."""
        return list(self.toDict().values())

    def items(self) -> list[tuple[str, Any]]:
        """Return `score` and `results` with their names."""
        return list(self.toDict().items())

    def get(self, key: str, default: Any = None) -> Any:
        """Return `score` or `results` by its name, or `default` for any other name."""
        return self.toDict().get(key, default)

    def toDict(self) -> dict[str, Any]:  # noqa: N802  DSPy's name
        """Return `score` and `results` as a dict."""
        return {"score": self.score, "results": self.results}

    def by(self, key: str | Callable[[Example], Any]) -> Slices:
        """Return the examples in slices, a table of n, mean and interval: `print(result.by("language"))`.

        Args:
            key: A field of the examples, or a function of an example. A list of values is a set of tags: the example
                is in the slice of each.

        Raises:
            ConfigurationError: No example has the field, or not all cases are kept.
        """
        return slices_by(self.examples, key)

    def compare(self, other: EvaluationResult) -> Comparison:
        """Compare this evaluation (before) with another (after) of the same examples, paired by their ids.

        Raises:
            ConfigurationError: They have no example in common, or not as many where ids are missing; or not all cases
                are kept.
        """
        return compare(self, other)

    def rejudge(
        self, metric: Metric, *, num_threads: int | None = None, failure_score: float = 0.0
    ) -> EvaluationResult:
        """Score the predictions by another metric, sync or async, without a call of the program.

        Cases whose program failed stay as they are, and so do the time and the usage of all.

        Args:
            metric: `metric(example, prediction, trace=None)`.
            num_threads: How many run at once; `settings.num_threads` by default.
            failure_score: The score of a case where the metric fails.

        Raises:
            BudgetExceededError: The metric asks a model, and the budget ran out.
            ConfigurationError: Not all cases are kept.
        """
        flow = rejudging(self._whole(), CaseJudge(metric, failure_score), num_threads=num_threads)
        cases = in_own_loop(lambda: adrive(flow)) if is_async_alone(metric) else drive(flow)
        return replace(self, metric=metric_name(metric), cases=cases, stopped=None)

    async def arejudge(
        self, metric: Metric, *, num_threads: int | None = None, failure_score: float = 0.0
    ) -> EvaluationResult:
        """Score the predictions as `rejudge` does, in the running event loop."""
        flow = rejudging(self._whole(), CaseJudge(metric, failure_score), num_threads=num_threads)
        return replace(self, metric=metric_name(metric), cases=await adrive(flow), stopped=None)

    def to_table(self, rows: int | None = None, *, width: int = 100) -> str:
        """Return a line of text for each case that is kept, or for the first so many; long values are cut."""
        return table_of(self.metric, self.cases, rows=rows, width=width)

    def to_pandas(self) -> Any:
        """Return a `DataFrame` with a row for each case that is kept: fields, score, feedback, error, time and cost.

        Raises:
            ConfigurationError: pandas is not installed.
        """
        try:
            with foreign_code():
                import pandas as pd  # type: ignore[import-untyped]  # not needed otherwise, and large
        except ImportError:
            raise ConfigurationError("to_pandas needs pandas: pip install pandas") from None
        return pd.DataFrame(records_of(self.metric, self.cases))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the cases that are kept to a `.json`, `.jsonl`, `.csv` or `.parquet` file, as a whole or not at all.

        `load` reads `.json` and `.jsonl`; the other two are tables. No value of a reply makes this fail: what a format
        does not hold is written as its text. In a `.csv` file a text that begins with `=` stays as it is, and a
        spreadsheet may take it for a formula.

        Raises:
            ConfigurationError: The suffix is of another format, or its library is not installed.
            ArtifactError: The file cannot be written.
        """
        figures = None if self.figures is None else self.figures.to_json()
        stopped = None if self.stopped is None else self.stopped.to_json()
        save({"metric": self.metric, "mean": self.mean, "figures": figures, "stopped": stopped}, self.cases, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> EvaluationResult:
        """Return the result in a `.json` or `.jsonl` file that `save` wrote.

        Values of Python's own types come back as they were, others, such as models, as the data that prompts show; an
        error comes back as a `RecordedError`.

        Raises:
            ArtifactError: The file cannot be read, or is damaged.
        """
        header, cases = load(path)
        figures, stopped = header.get("figures"), header.get("stopped")
        return cls(
            header["metric"],
            cases,
            None if figures is None else Figures.from_json(figures),
            None if stopped is None else Stopped.from_json(stopped),
        )

    def _whole(self) -> tuple[CaseResult, ...]:
        _ = self.examples  # which refuses a part of the cases
        return self.cases

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
