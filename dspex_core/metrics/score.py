"""Metrics and their scores. PYTEST_DONT_REWRITE

A metric is any callable `metric(example, prediction, trace=None)`; what it returns becomes a `Score` in `as_score`.
"""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass
from typing import Any, Protocol

from dspex_core.example import Prediction


@dataclass(frozen=True, slots=True)
class Score:
    """How right a prediction is (1 is right, 0 is wrong), and what was wrong with it, in words.

    A score of 0 is falsy, so that `if metric(example, prediction):` works as with bools.
    """

    value: float
    feedback: str = ""

    def __post_init__(self) -> None:
        try:
            is_number = math.isfinite(self.value)
        except TypeError:
            is_number = False
        if not is_number:
            message = f"a score must be a finite number, not {self.value!r}"
            raise ValueError(message)

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return self.value != 0


class Metric(Protocol):
    """A function that scores a prediction; `trace` is set while an optimizer collects demos."""

    def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Any:
        """Return a number, a bool, a `Score`, or a `Prediction` with `score` and perhaps `feedback`."""


def as_score(result: Any) -> Score:
    """Turn what a metric returned into a `Score`.

    Raises:
        ValueError: The value is not a finite number and has no score; the message shows it.
    """
    if isinstance(result, Score):
        return result
    if isinstance(result, Prediction) and "score" in result:
        score = as_score(result["score"])
        return Score(score.value, str(result.get("feedback") or score.feedback))
    if not isinstance(result, str | bytes | bytearray | Prediction):  # `float` would read the text "0.5"
        try:
            return Score(float(result))
        except (TypeError, ValueError, OverflowError):
            pass
    message = (
        f"a metric must return a finite number, a bool, a Score, or a Prediction with a field 'score', "
        f"not {reprlib.repr(result)} ({type(result).__name__})"
    )
    raise ValueError(message)
