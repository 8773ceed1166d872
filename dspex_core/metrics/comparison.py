"""When a predicted value is the expected one. PYTEST_DONT_REWRITE

Data files hold texts where programs return dates, enums, numbers and models, so a value and its text are the same. All
metrics compare values here.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import sys
from collections.abc import Iterable, Mapping
from numbers import Number
from typing import Any

from dspex_core.example import Record
from dspex_core.plain.reading.numbers import numbers_meant
from dspex_core.plain.reading.texts import decoded, literal_readings
from dspex_core.plain.text import normalized

_SETS = (set, frozenset)
_COLLECTIONS = (list, tuple, *_SETS)


def is_missing(value: Any) -> bool:
    """Whether a value stands for a missing one: `None`, or the NaN that tables have for an empty cell."""
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124  only NaN differs from itself


def as_text(value: Any) -> str:
    """Return a value as the text that a data file has for it."""
    if is_missing(value):
        return ""
    if isinstance(value, enum.Enum):
        return as_text(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def same(expected: Any, predicted: Any, *, normalize: bool) -> bool:  # noqa: PLR0911  one return per kind of value
    """Whether two values are equal, or one is the text of the other. Parts are compared as the whole is.

    A mapping, a record, a model and a dataclass are compared by their fields; one that is not there is missing.

    Args:
        expected: One value.
        predicted: The other; the order does not matter.
        normalize: Whether case and white space do not count, and a value is its text.
    """
    if is_missing(expected) or is_missing(predicted):
        return is_missing(expected) and is_missing(predicted)
    if isinstance(expected, enum.Enum) or isinstance(predicted, enum.Enum):
        return _same_choices(expected, predicted, normalize=normalize)
    if isinstance(expected, str) and isinstance(predicted, str):
        return normalized(expected) == normalized(predicted) if normalize else expected == predicted
    if isinstance(expected, str) or isinstance(predicted, str):
        text, value = (expected, predicted) if isinstance(expected, str) else (predicted, expected)
        return normalize and _is_text_of(text, value)
    one, other = parts(expected), parts(predicted)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        one, other = ({as_text(name): item for name, item in fields.items()} for fields in (one, other))
        return all(same(one.get(name), other.get(name), normalize=normalize) for name in {**one, **other})
    if isinstance(one, _COLLECTIONS) and isinstance(other, _COLLECTIONS):
        if isinstance(one, _SETS) or isinstance(other, _SETS):
            return len(one) == len(other) and not unmatched(one, other, normalize=normalize)
        return len(one) == len(other) and all(same(*pair, normalize=normalize) for pair in zip(one, other, strict=True))
    return _is_equal(one, other)


def alternatives(expected: Any, predicted: Any) -> list[Any] | None:
    """Return the expected values where any of several is right: a list of them for one predicted value."""
    if not isinstance(expected, _COLLECTIONS) or isinstance(predicted, _COLLECTIONS):
        return None
    is_whole = isinstance(from_json_text(predicted), list) and not any(map(_begins_as_list, expected))
    return None if is_whole else list(expected) or None


def parts(value: Any) -> Any:
    """Return the fields of a record, a model or a dataclass as a dict, a value of numpy as Python's, others as is."""
    if isinstance(value, str | int | float | Mapping | list | tuple | set | frozenset | None):
        return value
    if isinstance(value, Record):
        return dict(value.items())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    numpy = sys.modules.get("numpy")  # a value of numpy's can only be there when numpy is
    if numpy is not None and isinstance(value, numpy.generic | numpy.ndarray):
        return value.tolist()
    dump = getattr(value, "model_dump", None)  # pydantic is not imported here
    return dump() if callable(dump) else value


def from_json_text(value: Any) -> Any:
    """Return the object or list that a JSON text holds; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return next((found for found in decoded(value.strip()) if isinstance(found, dict | list)), value)
    return value


def from_written(value: Any) -> Any:
    """Return the object or list that a model wrote, fenced or as a Python literal, too; any other value as it is."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[", "```")):
        return next((found for found in literal_readings(value.strip()) if isinstance(found, dict | list)), value)
    return value


def unmatched(wanted: Iterable[Any], found: Iterable[Any], *, normalize: bool = True) -> list[Any]:
    """Return the wanted items for which none of the found ones is left, each of which matches one."""
    left = list(found)
    missing = []
    for item in wanted:
        place = next((place for place, other in enumerate(left) if same(item, other, normalize=normalize)), None)
        if place is None:
            missing.append(item)
        else:
            del left[place]
    return missing


def _same_choices(expected: Any, predicted: Any, *, normalize: bool) -> bool:
    if isinstance(expected, enum.Enum) and isinstance(predicted, enum.Enum):
        if type(expected) is type(predicted):
            return expected is predicted
        # A class that another process has made again.
        return expected.name == predicted.name and same(expected.value, predicted.value, normalize=normalize)
    member, value = (expected, predicted) if isinstance(expected, enum.Enum) else (predicted, expected)
    if not normalize:
        return _is_equal(member, value)
    is_named = isinstance(value, str) and normalized(value) == normalized(member.name)
    return is_named or same(member.value, value, normalize=True)


def _begins_as_list(value: Any) -> bool:
    return isinstance(value, str) and value.lstrip().startswith("[")


def _is_text_of(text: str, value: Any) -> bool:
    if isinstance(value, Number | decimal.Decimal) and not isinstance(value, bool):
        return _is_number(text, value)
    if isinstance(value, dt.date | dt.time):
        return _is_moment(text, value)
    if not isinstance(value, (*_COLLECTIONS, Mapping)) and normalized(text) == normalized(as_text(value)):
        return True
    held = from_json_text(text)
    return not isinstance(held, str) and same(held, value, normalize=True)


def _is_number(text: str, value: Any) -> bool:
    try:
        return _decimal(text.strip()) == _decimal(value)
    except (decimal.InvalidOperation, ValueError):
        meant = numbers_meant(text, whole=False)  # of several, which is meant is a guess
        return normalized(text) == normalized(str(value)) or (len(meant) == 1 and _is_equal(meant[0], value))


def _is_moment(text: str, value: dt.date | dt.time) -> bool:
    text = text.strip()
    for kind in (type(value), dt.datetime, dt.date):
        if not isinstance(value, dt.time) or kind is type(value):
            try:
                return _is_equal(kind.fromisoformat(text), value)
            except ValueError:
                continue
    return False


def _is_equal(one: Any, other: Any) -> bool:
    numbers = (int, float, decimal.Decimal)
    if isinstance(one, numbers) and isinstance(other, numbers):
        is_mixed = isinstance(one, decimal.Decimal) != isinstance(other, decimal.Decimal)
        try:
            return _decimal(one) == _decimal(other) if is_mixed else bool(one == other)
        except OverflowError:  # an integer beyond the largest float, beside a float of numpy's
            return False
    if isinstance(one, dt.date) and isinstance(other, dt.date) and type(one) is not type(other):
        return _at_midnight(one) == _at_midnight(other)
    try:
        return bool(one == other)
    except (TypeError, ValueError):  # of types that compare otherwise, such as tables
        return False


def _at_midnight(day: dt.date) -> dt.datetime:
    return day if isinstance(day, dt.datetime) else dt.datetime(day.year, day.month, day.day)  # noqa: DTZ001  has none


def _decimal(value: Any) -> decimal.Decimal:
    return decimal.Decimal(value if isinstance(value, int | str | decimal.Decimal) else str(value))
