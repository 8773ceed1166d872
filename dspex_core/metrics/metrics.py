"""Metrics: how right a prediction is, as a score with feedback. PYTEST_DONT_REWRITE

A metric is any callable `metric(example, prediction, trace=None)`; what it returns becomes a
`Score` in `as_score`. The factories here make metrics of one field:

    evaluate(program, rows, metric=exact_match("label"))
"""

from __future__ import annotations

import math
import reprlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from dspex_core.errors import ConfigurationError
from dspex_core.example import Prediction, Record
from dspex_core.metrics.comparison import alternatives, as_text, holds, same, words
from dspex_core.plain.text import normalized
from dspex_core.process.foreign_code import foreign_code


@dataclass(frozen=True, slots=True)
class Score:
    """How right a prediction is (1 is right, 0 is wrong), and what was wrong with it, in words.

    A score of 0 is falsy, so that `if metric(example, prediction):` works as with bools.
    """

    value: float
    feedback: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            message = f"a score must be a finite number, not {self.value!r}"
            raise ValueError(message)

    def __float__(self) -> float:
        return float(self.value)

    def __bool__(self) -> bool:
        return self.value != 0


class Metric(Protocol):
    """What judges a prediction; `trace` is set while an optimizer collects demos."""

    def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Any:
        """Return a number, a bool, a `Score`, or a `Prediction` with `score` and perhaps `feedback`."""


def as_score(result: Any) -> Score:
    """Turn what a metric returned into a `Score`.

    Raises:
        ValueError: It is no finite number and holds none; the message shows it.
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


@dataclass(frozen=True, slots=True, repr=False)
class FieldMetric:
    """A metric that compares one field of the prediction with the same field of the example.

    Args:
        name: The name of the factory that made it, under which reports list it.
        field: The field that is compared.
        judge: Takes the expected and the predicted value and returns the score; its feedback
            goes on from the field's name ("should be 3 but is 4").
        options: What the factory was told besides the field, for the `repr`.
    """

    name: str
    field: str
    judge: Callable[[Any, Any], Score]
    options: str = ""

    @property
    def __name__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{self.name}({self.field!r}{self.options})"

    def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Score:
        """Judge the field.

        Raises:
            ConfigurationError: The example or the prediction has no such field.
        """
        score = self._judged(self._read("example", example), self._read("prediction", prediction))
        return Score(score.value, f"{self.field} {score.feedback}.") if score.feedback else score

    def _judged(self, expected: Any, predicted: Any) -> Score:
        """Judge against the expected value; of several, against the one that is met best."""
        several = alternatives(expected, predicted)
        if several is None:
            return self.judge(expected, predicted)
        best = max((self.judge(one, predicted) for one in several), key=float)
        return Score(best.value, best.feedback and f"should be one of {several!r} but is {predicted!r}")

    def _read(self, role: str, record: Any) -> Any:
        try:
            return record[self.field]
        except KeyError:
            found = ", ".join(map(repr, record)) or "none"
            message = f"{self!r} needs the field {self.field!r}, which the {role} lacks; it has: {found}"
            raise ConfigurationError(message) from None


def exact_match(field: str, *, normalize: bool = True) -> FieldMetric:
    """Make a metric that is 1 where the field is as expected.

    Texts may differ in Unicode composition, case and white space unless `normalize` is off, and a date, an enum or a
    number is the same as its text: `3` and `"3.0"`, `date(2024, 3, 1)` and `"2024-03-01"`. Where the example has a
    list and the prediction one value, any in the list is right. NaN counts as `None`.
    """
    options = "" if normalize else ", normalize=False"
    return FieldMetric("exact_match", field, partial(_exact, normalize=normalize), options)


def fuzzy_match(field: str, *, threshold: float = 0.8) -> FieldMetric:
    """Make a metric that is 1 where the Jaro similarity of the normalized texts is above the threshold."""
    if not 0 <= threshold < 1:
        message = f"fuzzy_match({field!r}) needs 0 <= threshold < 1, not {threshold!r}; for equality use exact_match"
        raise ConfigurationError(message)
    return FieldMetric("fuzzy_match", field, partial(_fuzzy, threshold=threshold), f", threshold={threshold!r}")


def contains(field: str) -> FieldMetric:
    """Make a metric that is 1 where the predicted text has the expected one in it as whole words, both normalized.

    `"no"` is not in `"know"`. An empty expectation is met by an empty text only; of a list, any text will do.
    """
    return FieldMetric("contains", field, _contains)


def f1(field: str) -> FieldMetric:
    """Make a metric of the words that the expected and the predicted text share.

    It is the F1 of SQuAD (Rajpurkar et al. 2016): case, punctuation of any script and English articles do
    not count, repeated words count as often as they occur. Each character is a word in scripts without spaces, such as
    Chinese. The text "A" alone is a choice, not an article. Of a list of expected texts, the best counts.
    """
    return FieldMetric("f1", field, _f1)


def field_match(field: str, *, normalize: bool = True) -> FieldMetric:
    """Make a metric of a structured field: the share of the expected sub-fields that are right.

    Either side may be a dict, a pydantic model or a record. Sub-fields are compared as
    `exact_match` does; those that only the prediction has are not judged.
    """
    options = "" if normalize else ", normalize=False"
    return FieldMetric("field_match", field, partial(_fields, normalize=normalize), options)


def _exact(expected: Any, predicted: Any, *, normalize: bool) -> Score:
    if same(expected, predicted, normalize=normalize):
        return Score(1.0)
    return Score(0.0, _mismatch(expected, predicted))


def _fuzzy(expected: Any, predicted: Any, *, threshold: float) -> Score:
    with foreign_code():
        from rapidfuzz.distance import Jaro  # not needed to import dspex

        similarity = Jaro.similarity(normalized(as_text(expected)), normalized(as_text(predicted)))
    if similarity > threshold:
        return Score(1.0)
    return Score(0.0, f"{_mismatch(expected, predicted)} (similarity {similarity:.2f})")


def _contains(expected: Any, predicted: Any) -> Score:
    wanted, found = normalized(as_text(expected)), normalized(as_text(predicted))
    if holds(found, wanted) if wanted else not found:
        return Score(1.0)
    return Score(0.0, f"should contain {expected!r} but is {predicted!r}")


def _f1(expected: Any, predicted: Any) -> Score:
    wanted, found = Counter(words(as_text(expected))), Counter(words(as_text(predicted)))
    shared, total = (wanted & found).total(), wanted.total() + found.total()
    value = 2 * shared / total if total else 1.0
    return Score(value, "" if value == 1 else _mismatch(expected, predicted))


def _fields(expected: Any, predicted: Any, *, normalize: bool) -> Score:
    wanted, found = _parts(expected), _parts(predicted)
    if not wanted:
        message = f"field_match needs a dict, a model or a record with sub-fields in the example, not {expected!r}"
        raise ConfigurationError(message)
    if found is None:
        return Score(0.0, _mismatch(expected, predicted))
    wrong = {name: value for name, value in wanted.items() if not same(value, found.get(name), normalize=normalize)}
    feedback = "; ".join(f"{name} {_mismatch(value, found.get(name))}" for name, value in wrong.items())
    return Score(1 - len(wrong) / len(wanted), f"is wrong in part: {feedback}" if wrong else "")


def _mismatch(expected: Any, predicted: Any) -> str:
    return f"should be {expected!r} but is {predicted!r}"


def _parts(value: Any) -> Mapping[str, Any] | None:
    """Return the sub-fields of a value in their JSON form, or `None` where it has none."""
    plain = Record(value=value).toDict()["value"]
    return plain if isinstance(plain, Mapping) else None
