"""One attempt at one example: a value that can be pickled, and written as JSON. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import RecordedError
from dspex_core.example import Example, Prediction, Record
from dspex_core.metrics.score import Score
from dspex_core.plain.display import error_text
from dspex_core.plain.stored_values import is_plain, restored, stored
from dspex_core.programs.demos.stored import as_shown
from dspex_core.spending.usage import UsageTotals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Phase = Literal["program", "adapter", "metric", "timeout", "budget", "worker"]
Json = dict[str, Any]

_WORDS: Mapping[Phase, str] = {
    "program": "program failed",
    "adapter": "adapter failed",
    "metric": "metric failed",
    "timeout": "timeout",
    "budget": "budget",
    "worker": "worker failed",
}


@dataclass(frozen=True, slots=True)
class CaseError:
    """Why an example has no score.

    Args:
        phase: Where it failed: in the program's code or its model, in an adapter that could not read the model's
            reply, in the metric, at the time limit of an example, at the limits of the budget, or on the way to a
            worker of an executor.
        error: The exception.
        traceback: Where it came from, as text.
    """

    phase: Phase
    error: Exception
    traceback: str

    def __str__(self) -> str:
        return f"{_WORDS.get(self.phase, self.phase)}: {_named(self.error)}"

    def __reduce__(self) -> tuple[Any, ...]:
        return CaseError, (self.phase, _portable(self.error), self.traceback)

    def to_json(self) -> Json:
        """Return the phase and the texts of the error."""
        texts = {"error": _named(self.error), "traceback": self.traceback}
        return {"phase": self.phase, **{name: text.encode("utf-8", "replace").decode() for name, text in texts.items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CaseError:
        """Return what `to_json` wrote, with a `RecordedError`."""
        return cls(data["phase"], RecordedError(data["error"]), data["traceback"])


@dataclass(frozen=True, slots=True)
class TraceStep:
    """One call of a predictor on the way to a prediction.

    Args:
        predictor: Its path in the program, such as `"search.steps[0]"`, or its signature where that is not known.
        inputs: The values by field.
        outputs: What it returned.
    """

    predictor: str
    inputs: Mapping[str, Any]
    outputs: Any

    def to_json(self, outputs: Json | None = None) -> Json:
        """Return the step as JSON data; `outputs` is that of what it returned, where it is known."""
        if outputs is None:
            outputs = record_to_json(self.outputs)
        return {"predictor": self.predictor, "inputs": _fields_to_json(self.inputs.items()), "outputs": outputs}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TraceStep:
        """Return what `to_json` wrote."""
        inputs = {name: restored(value) for name, value in data["inputs"].items()}
        return cls(data["predictor"], inputs, record_from_json(data["outputs"]))


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The outcome of one attempt at one example.

    Args:
        example: The row.
        prediction: What the program returned; `None` if it failed.
        score: Of the metric; the evaluation's `failure_score` if there is an error.
        error: Why there is no score of the metric.
        latency: Seconds, the metric's included.
        usage: Calls, tokens and dollars, the metric's included.
        trace: The predictors that ran on the way to the prediction, in their order.
        attempt: Which of the attempts at its example this is, from 1.
        index: The place of the example in the dataset, from 0; `None` where it is not known.
    """

    example: Example
    prediction: Prediction | None
    score: Score
    error: CaseError | None
    latency: float
    usage: UsageTotals
    trace: tuple[TraceStep, ...] = ()
    attempt: int = 1
    index: int | None = None

    @property
    def why(self) -> str:
        """The explanation of the score: the error, else the feedback of the metric, else the prediction."""
        return str(self.error or self.score.feedback or self.prediction)

    @property
    def cost(self) -> float:
        """Dollars, as far as prices are known."""
        return self.usage.cost

    def to_json(self) -> Json:
        """Return the case as JSON data that `from_json` reads.

        Values of Python's own types come back as they were; others, such as models, as the data that prompts show. An
        error comes back as a `RecordedError`.
        """
        return {"example": record_to_json(self.example), **self.outcome_to_json()}

    def outcome_to_json(self) -> Json:
        """Return all but the example as JSON data."""
        error, found = self.error, self.prediction
        prediction = None if found is None else record_to_json(found)
        trace = [  # its last step has most often returned the prediction
            step.to_json() if prediction is None or step.outputs is not found else step.to_json(prediction)
            for step in self.trace
        ]
        return {
            "prediction": prediction,
            "score": self.score.to_json(),
            "error": None if error is None else error.to_json(),
            "latency": self.latency,
            "usage": self.usage.to_json(),
            "trace": trace,
            "attempt": self.attempt,
            "index": self.index,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], example: Example | None = None) -> CaseResult:
        """Return the case that `to_json` wrote, or that `outcome_to_json` wrote of this example.

        Raises:
            ValueError: The data is damaged.
        """
        try:
            return cls(
                example=record_from_json(data["example"]) if example is None else example,
                prediction=None if data["prediction"] is None else record_from_json(data["prediction"]),
                score=Score.from_json(data["score"]),
                error=None if data["error"] is None else CaseError.from_json(data["error"]),
                latency=data["latency"],
                usage=UsageTotals.from_json(data["usage"]),
                trace=tuple(map(TraceStep.from_json, data.get("trace", ()))),
                attempt=data.get("attempt", 1),
                index=data.get("index"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a stored case is damaged: {error!r}") from error


def error_of(case: CaseResult) -> Exception | None:
    """Return the exception of a case that failed."""
    return None if case.error is None else case.error.error


def record_to_json(record: Any) -> Json:
    """Return an example, a prediction, or whatever else a program returned, as JSON data."""
    if not isinstance(record, Record):
        return {"value": value_to_json(record)}
    data: Json = {"fields": _fields_to_json(record.items())}
    if isinstance(record, Example):
        return {**data, "id": record.id, "inputs": sorted(record.input_keys)}
    return data


def record_from_json(data: Mapping[str, Any]) -> Any:
    """Return what `record_to_json` wrote."""
    if "fields" not in data:
        return restored(data["value"])
    values = {name: restored(value) for name, value in data["fields"].items()}
    if "inputs" not in data:
        return Prediction(values)
    example = Example(values).with_inputs(*data["inputs"])
    return example if data["id"] is None else example.with_id(data["id"])


def _fields_to_json(fields: Iterable[tuple[str, Any]]) -> Json:
    # Most values are plain texts, for which the general way takes several times as long.
    return {name: value if type(value) is str and value.isascii() else value_to_json(value) for name, value in fields}


def value_to_json(value: Any) -> Any:
    """Return a value as JSON data, its kinds kept where that is possible."""
    if is_plain(value):
        return value
    try:
        return stored(value, as_shown)
    except ValueError:  # it holds itself
        return as_shown(value)


def _named(error: BaseException) -> str:
    return str(error) if isinstance(error, RecordedError) else error_text(error)


def _portable(error: Exception) -> Exception:
    """Return the error, or what is known of it where no other process could read it."""
    import pickle  # only where a result leaves the process

    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  it is our own
    except Exception:  # noqa: BLE001  the error's class is the user's, and so is what it holds
        return RecordedError(_named(error))
    return error
