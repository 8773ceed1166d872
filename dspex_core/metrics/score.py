"""Metrics and their scores. PYTEST_DONT_REWRITE

A metric is any callable `metric(example, prediction, trace=None)`; what it returns becomes a `Score` in `as_score`.
"""

from __future__ import annotations

import functools
import math
import reprlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CoroutineType
from typing import Any, Self

from dspex_core.errors.shown import ENDLESS
from dspex_core.example import Prediction

_NUMBERS = (bool, int, float)


@dataclass(frozen=True, slots=True)
class Score:
    """How right a prediction is (1 is right, 0 is wrong), and what was wrong with it, in words and in numbers.

    A score of 0 is falsy, so that `if metric(example, prediction):` works as with bools.

    Args:
        value: A finite number.
        feedback: What was wrong, for people and for optimizers.
        details: More about it by name, as JSON data: precision and recall, the score of each field, ...

    Raises:
        ValueError: `value` is not a finite number, or `details` is not a mapping of names to JSON data.
    """

    value: float
    feedback: str = ""
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        try:
            is_number = math.isfinite(self.value)
        except (TypeError, OverflowError):
            is_number = False
        if not is_number:
            message = f"a score must be a finite number, not {reprlib.repr(self.value)} ({type(self.value).__name__})"
            raise ValueError(message)
        if self.details:
            object.__setattr__(self, "details", _details(self.details))

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return self.value != 0

    def to_json(self) -> dict[str, Any]:
        """Return the score as JSON data that `from_json` reads; `details` only if there are any."""
        return {"value": self.value, "feedback": self.feedback, **({"details": self.details} if self.details else {})}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the score that `to_json` wrote."""
        return cls(data["value"], data["feedback"], data.get("details", {}))


class NamedMetric:
    """A metric that is a value, with the name under which its score is reported."""

    __slots__ = ()
    name: str

    @property
    def __name__(self) -> str:
        return self.name


def metric_name(metric: Any) -> str:
    """Return the name under which a metric's score is reported."""
    inner = metric.func if isinstance(metric, functools.partial) else metric
    return getattr(inner, "__name__", None) or type(inner).__name__


def as_score(result: Any, metric: str = "") -> Score:
    """Turn the result of a metric into a `Score`.

    Args:
        result: What the metric returned.
        metric: The metric's name, for the message of the error.

    Raises:
        ValueError: The result is not a finite number and has no score; the message shows it.
    """
    if isinstance(result, Score):
        return result
    if _is_prediction(result):
        if "score" in result:
            score = as_score(result["score"], metric)
            details = result.get("details")
            return Score(
                score.value,
                str(result.get("feedback") or score.feedback),
                details if isinstance(details, Mapping) else score.details,
            )
    elif not isinstance(result, str | bytes | bytearray):  # `float` would read the text "0.5"
        try:
            return Score(float(result))
        except (TypeError, ValueError, OverflowError):
            pass
    if isinstance(result, CoroutineType):
        result.close()  # nobody will await it
    message = (
        f"{f'the metric {metric!r}' if metric else 'a metric'} must return a finite number, a bool, a Score, or a "
        f"Prediction with a field 'score', not {reprlib.repr(result)} ({type(result).__name__})"
    )
    raise ValueError(message)


def _is_prediction(result: Any) -> bool:
    """Whether a metric returned a prediction, ours or DSPy's: of the latter, `float` would lose the feedback."""
    if type(result) in _NUMBERS:  # as of most metrics
        return False
    if isinstance(result, Prediction):
        return True
    return any(kind.__name__ == "Prediction" and kind.__module__.startswith("dspy.") for kind in type(result).__mro__)


def _details(details: Any) -> dict[str, Any]:
    """Return details as JSON data of their own.

    Raises:
        ValueError: They are not named, or one is not JSON data.
    """
    if not isinstance(details, Mapping) or not all(isinstance(name, str) for name in details):
        raise ValueError(f"the details of a score are a mapping of names to JSON data, not {reprlib.repr(details)}")
    try:
        return {name: _json(value, name) for name, value in details.items()}
    except RecursionError:
        raise ValueError(f"a detail of a score, one of {', '.join(map(repr, details))}, {ENDLESS}") from None


def _json(value: Any, name: str) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _json(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item, f"{name}[{place}]") for place, item in enumerate(value)]
    numpy = sys.modules.get("numpy")  # a value of numpy's can only be there when numpy is
    if numpy is not None and isinstance(value, numpy.generic | numpy.ndarray):
        return _json(value.tolist(), name)
    raise ValueError(
        f"the detail {name!r} of a score must be JSON data (a finite number, a text, a list, ...), "
        f"not {reprlib.repr(value)} ({type(value).__name__})"
    )
