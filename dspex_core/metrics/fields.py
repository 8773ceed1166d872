"""Metrics of one field: `evaluate(program, rows, metric=exact_match("label"))`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from numbers import Number
from typing import Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import ENDLESS, value_text
from dspex_core.example import Example, Record
from dspex_core.metrics.comparison import alternatives, same
from dspex_core.metrics.score import NamedMetric, Score

_PLAIN = (str, bytes, Number, list, tuple, set, frozenset, dt.date, dt.time, enum.Enum)
_LONGEST = 240  # characters of a value that feedback shows


class _OfField(NamedMetric):
    """A metric of one field, shown as the call of the factory that made it."""

    __slots__ = ()
    field: str | None
    options: str

    def __repr__(self) -> str:
        shown = [*([] if self.field is None else [repr(self.field)]), *([self.options] if self.options else [])]
        return f"{self.name}({', '.join(shown)})"


@dataclass(frozen=True, slots=True, repr=False)
class FieldMetric(_OfField):
    """A metric that compares one field of the prediction with that of the example.

    Args:
        name: The name of the factory that made it, under which reports list it.
        field: The field of the prediction; `None` for the only output that the example has a value for.
        judge: Takes the expected and the predicted value and returns the score; its feedback
            goes on from the field's name ("should be 3 but is 4").
        options: Further arguments of the factory, for the `repr`.
        expected: The field of the example; `None` for one with the name of the prediction's.
        takes_several: Whether `judge` takes a list of expected values; otherwise the one that is met best counts.
    """

    name: str
    field: str | None
    judge: Callable[[Any, Any], Score]
    options: str = ""
    expected: str | None = None
    takes_several: bool = False

    def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Score:
        """Judge the field.

        Raises:
            ConfigurationError: The example or the prediction has no such field, or its value holds itself or is nested
                too deeply.
        """
        field = self.field or only_field(self, example, prediction, known=self.expected is not None)
        expected = read_field(self, "example", example, self.expected or field)
        predicted = read_field(self, "prediction", prediction, field)
        try:
            return of_field(field, self._judged(expected, predicted))
        except RecursionError:
            raise endless(self, field) from None

    def _judged(self, expected: Any, predicted: Any) -> Score:
        """Judge against the expected value; of several, against the one that is met best."""
        several = None if self.takes_several else alternatives(expected, predicted)
        if several is None:
            return self.judge(expected, predicted)
        best = max((self.judge(one, predicted) for one in several), key=float)
        feedback = best.feedback and f"should be one of {shown(several)} but is {shown(predicted)}"
        return replace(best, feedback=feedback)


@dataclass(frozen=True, slots=True, repr=False)
class OutputMetric(_OfField):
    """A metric of one field of the prediction alone.

    Args:
        name: The name of the factory that made it, under which reports list it.
        field: The field; `None` for the only one.
        judge: Takes the value and returns the score; its feedback goes on from the field's name.
        options: Further arguments of the factory, for the `repr`.
    """

    name: str
    field: str | None
    judge: Callable[[Any], Score]
    options: str = ""

    def __call__(self, example: Any, prediction: Any, trace: Any = None) -> Score:
        """Judge the field.

        Raises:
            ConfigurationError: The prediction has no such field, or its value holds itself or is nested too deeply.
        """
        field = self.field or only_field(self, example, prediction, known=True)
        try:
            return of_field(field, self.judge(read_field(self, "prediction", prediction, field)))
        except RecursionError:
            raise endless(self, field) from None


def exact_match(field: str | None = None, *, normalize: bool = True, expected: str | None = None) -> FieldMetric:
    """Make a metric that is 1 where the field is as expected.

    Texts may differ in Unicode composition, case and white space unless `normalize` is off, and a date, an enum, a
    number or a model is the same as its text: `3` and `"3.0"`, `date(2024, 3, 1)` and `"2024-03-01"`. So are the parts
    of lists and models. Where the example has a list and the prediction one value, any in the list is right. NaN counts
    as `None`.

    Args:
        field: The field of the prediction; by default the only output that the example has a value for.
        normalize: Whether a value is its text, and case and white space do not count.
        expected: The field of the example, if it has another name.
    """
    options = options_text(normalize=(normalize, True), expected=(expected, None))
    return FieldMetric("exact_match", field, partial(_exact, normalize=normalize), options, expected)


def options_text(**options: tuple[Any, Any]) -> str:
    """Return arguments as they are written in a call; each is a pair of its value and its default."""
    return ", ".join(f"{name}={value!r}" for name, (value, default) in options.items() if value != default)


def mismatch(expected: Any, predicted: Any) -> str:
    """Return the feedback of a wrong value."""
    return f"should be {shown(expected)} but is {shown(predicted)}"


def shown(value: Any) -> str:
    """Return a value as feedback shows it: whole, unless it is long."""
    text = value_text(value, None)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 60]} ... {text[-50:]}"


def endless(metric: Any, field: str) -> ConfigurationError:
    """Return the error of a value that has no end, or none that can be reached."""
    return ConfigurationError(f"{metric!r} cannot judge the field {field!r}: a value of it {ENDLESS}")


def of_field(field: str, score: Score) -> Score:
    """Return a score whose feedback begins with the field's name."""
    return replace(score, feedback=f"{field} {score.feedback}.") if score.feedback else score


def read_field(metric: Any, role: str, record: Any, field: str) -> Any:
    """Return a field of an example or a prediction.

    Raises:
        ConfigurationError: It has no such field; the message names those that it has.
    """
    is_record = isinstance(record, Record | Mapping)
    try:
        return record[field] if is_record else _field_of(record, field)
    except KeyError:
        found = ", ".join(map(repr, record)) if is_record else shown(record)
        message = f"{metric!r} needs the field {field!r}, which the {role} lacks; it has: {found or 'none'}"
        raise ConfigurationError(message) from None


def only_field(metric: Any, example: Any, prediction: Any, *, known: bool) -> str:
    """Return the prediction's only field, or its only one that the example has a value for, its inputs aside.

    Args:
        metric: The metric that needs it.
        example: The example.
        prediction: The prediction.
        known: Whether the example's field is known or not needed.

    Raises:
        ConfigurationError: There are none or several such fields.
    """
    outputs = list(prediction) if isinstance(prediction, Record | Mapping) else None
    labels = _labels(example)
    if known or labels is None:
        candidates = ["prediction"] if outputs is None else outputs
    else:
        candidates = [name for name in labels if outputs is None or name in outputs]
    if len(candidates) != 1:
        found = ", ".join(map(repr, candidates)) or "none"
        raise ConfigurationError(
            f"{metric!r} judges the only output field, but there is not exactly one: {found}; "
            f"name the field: {metric.name}('...')"
        )
    return str(candidates[0])


def _labels(example: Any) -> list[str] | None:
    """Return the fields of an example that are not inputs; `None` if it has no fields."""
    if not isinstance(example, Record | Mapping):
        return None
    inputs = example.input_keys if isinstance(example, Example) else ()
    return [name for name in example if name not in inputs and name != "id"]


def _field_of(output: Any, field: str) -> Any:
    """Return a field of what a program of any kind returned: of an object's attributes; a plain value is all of it."""
    if output is None or (isinstance(output, _PLAIN) and not hasattr(output, "_fields")):  # which named tuples have
        return output
    if hasattr(output, field):
        return getattr(output, field)
    try:
        return output[field]  # such as a record of another library
    except (TypeError, LookupError):
        raise KeyError(field) from None


def _exact(expected: Any, predicted: Any, *, normalize: bool) -> Score:
    if same(expected, predicted, normalize=normalize):
        return Score(1.0)
    return Score(0.0, mismatch(expected, predicted))
