"""The results of an evaluation: values that can be pickled or written as JSON. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import RecordedError
from dspex_core.example import Example, Prediction, Record
from dspex_core.metrics.score import Score
from dspex_core.plain.display import error_text
from dspex_core.plain.stored_values import restored, stored
from dspex_core.programs.demos.stored import as_shown
from dspex_core.spending.usage import UsageTotals
from dspex_core.stats import Interval, mean_interval

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CaseError:
    """Why an example has no score: the program or the metric raised."""

    phase: Literal["program", "metric"]
    error: Exception
    traceback: str

    def __str__(self) -> str:
        return f"{self.phase} failed: {_named(self.error)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return CaseError, (self.phase, _portable(self.error), self.traceback)

    def to_json(self) -> dict[str, Any]:
        """Return the phase and the texts of the error."""
        texts = {"error": _named(self.error), "traceback": self.traceback}
        return {"phase": self.phase, **{name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CaseError:
        """Return what `to_json` wrote, with a `RecordedError`."""
        return cls(data["phase"], RecordedError(data["error"]), data["traceback"])


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One example's outcome: its prediction and score, or its error; seconds and tokens taken."""

    example: Example
    prediction: Prediction | None
    score: Score
    error: CaseError | None
    latency: float
    usage: UsageTotals

    @property
    def why(self) -> str:
        """The explanation of the score: the error, else the feedback of the metric, else the prediction."""
        return str(self.error or self.score.feedback or self.prediction)

    def to_json(self) -> dict[str, Any]:
        """Return the case as JSON data that `from_json` reads.

        Values of Python's own types come back as they were; others, such as models, as the data that prompts show. An
        error comes back as a `RecordedError`.
        """
        error = self.error
        return {
            "example": _record_to_json(self.example),
            "prediction": None if self.prediction is None else _record_to_json(self.prediction),
            "score": {"value": self.score.value, "feedback": self.score.feedback},
            "error": None if error is None else error.to_json(),
            "latency": self.latency,
            "usage": self.usage.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CaseResult:
        """Return the case that `to_json` wrote.

        Raises:
            ValueError: The data is damaged.
        """
        try:
            return cls(
                example=_record_from_json(data["example"]),
                prediction=None if data["prediction"] is None else _record_from_json(data["prediction"]),
                score=Score(data["score"]["value"], data["score"]["feedback"]),
                error=None if data["error"] is None else CaseError.from_json(data["error"]),
                latency=data["latency"],
                usage=UsageTotals.from_json(data["usage"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a stored case is damaged: {error!r}") from error


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


def _named(error: BaseException) -> str:
    return str(error) if isinstance(error, RecordedError) else error_text(error)


def _portable(error: Exception) -> Exception:
    """Return the error, or what is known of it where no other process could read it."""
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  it is our own
    except Exception:  # noqa: BLE001  the error's class is the user's, and so is what it holds
        return RecordedError(_named(error))
    return error


def _record_to_json(record: Any) -> dict[str, Any]:
    """Return an example, a prediction, or whatever else a program returned."""
    if not isinstance(record, Record):
        return {"value": _to_json(record)}
    data: dict[str, Any] = {"fields": {name: _to_json(value) for name, value in record.items()}}
    if isinstance(record, Example):
        return {**data, "id": record.id, "inputs": sorted(record.input_keys)}
    return data


def _to_json(value: Any) -> Any:
    try:
        return stored(value, as_shown)
    except ValueError:  # it holds itself
        return as_shown(value)


def _record_from_json(data: Mapping[str, Any]) -> Any:
    if "fields" not in data:
        return restored(data["value"])
    values = {name: restored(value) for name, value in data["fields"].items()}
    if "inputs" not in data:
        return Prediction(values)
    example = Example(values).with_inputs(*data["inputs"])
    return example if data["id"] is None else example.with_id(data["id"])
