"""Metrics of one field: `evaluate(program, rows, metric=exact_match("label"))`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Number
from typing import Any

from dspex_core.errors import ConfigurationError
from dspex_core.example import Record, plain
from dspex_core.metrics.comparison import alternatives, same
from dspex_core.metrics.score import Score

_PLAIN = (str, bytes, Number, list, tuple, set, frozenset, dt.date, dt.time, enum.Enum)


@dataclass(frozen=True, slots=True, repr=False)
class FieldMetric:
    """A metric that compares one field of the prediction with the same field of the example.

    Args:
        name: The name of the factory that made it, under which reports list it.
        field: The field that is compared.
        judge: Takes the expected and the predicted value and returns the score; its feedback
            goes on from the field's name ("should be 3 but is 4").
        options: Further arguments of the factory, for the `repr`.
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
            return record[self.field] if isinstance(record, Record | Mapping) else _field_of(record, self.field)
        except KeyError:
            found = ", ".join(map(repr, record)) if isinstance(record, Record | Mapping) else repr(record)
            message = f"{self!r} needs the field {self.field!r}, which the {role} lacks; it has: {found or 'none'}"
            raise ConfigurationError(message) from None


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


def exact_match(field: str, *, normalize: bool = True) -> FieldMetric:
    """Make a metric that is 1 where the field is as expected.

    Texts may differ in Unicode composition, case and white space unless `normalize` is off, and a date, an enum or a
    number is the same as its text: `3` and `"3.0"`, `date(2024, 3, 1)` and `"2024-03-01"`. Where the example has a
    list and the prediction one value, any in the list is right. NaN counts as `None`.
    """
    options = "" if normalize else ", normalize=False"
    return FieldMetric("exact_match", field, partial(_exact, normalize=normalize), options)


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
    return Score(0.0, mismatch(expected, predicted))


def _fields(expected: Any, predicted: Any, *, normalize: bool) -> Score:
    wanted, found = _parts(expected), _parts(predicted)
    if not wanted:
        message = f"field_match needs a dict, a model or a record with sub-fields in the example, not {expected!r}"
        raise ConfigurationError(message)
    if found is None:
        return Score(0.0, mismatch(expected, predicted))
    wrong = {name: value for name, value in wanted.items() if not same(value, found.get(name), normalize=normalize)}
    feedback = "; ".join(f"{name} {mismatch(value, found.get(name))}" for name, value in wrong.items())
    return Score(1 - len(wrong) / len(wanted), f"is wrong in part: {feedback}" if wrong else "")


def mismatch(expected: Any, predicted: Any) -> str:
    """Return the feedback of a wrong value."""
    return f"should be {expected!r} but is {predicted!r}"


def _parts(value: Any) -> Mapping[str, Any] | None:
    """Return the sub-fields of a value in their JSON form, or `None` where it has none."""
    data = plain(value)
    return data if isinstance(data, Mapping) else None
