"""Values of Python's own types as JSON data that keeps their types. PYTEST_DONT_REWRITE

JSON values stand for themselves. Any other value is an object that names its kind:

    {"$dspex": "date", "value": "2024-03-01"}
    {"$dspex": "tuple", "value": [1, 2]}
    {"$dspex": "dict", "value": [[1, "one"], [2, "two"]]}

A file can name the kinds in this module and no others, so reading a value runs no code of a file's choice.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import fractions
import math
import pathlib
import sys
import uuid
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.plain.sets import in_order
from dspex_core.plain.text import is_encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

KIND = "$dspex"
_MAX_DIGITS = 4000  # of an int that JSON holds: Python refuses to read more than 4300


class NotStorableError(ValueError):
    """A value that has no stored form."""


def stored(value: Any, other: Callable[[Any], Any] | None = None) -> Any:
    """Return a value as JSON data from which `restored` makes an equal value of the same types.

    Args:
        value: What to store.
        other: Stores values of types that are not Python's own, or raises.

    Raises:
        NotStorableError: A part of the value has a type without a stored form, or it contains itself.
    """
    try:
        return _stored(value, other)
    except RecursionError:
        raise NotStorableError("the value holds itself, or is nested too deeply") from None


def restored(data: Any, other: Callable[[str, Any], Any] | None = None) -> Any:
    """Return the value that `stored` turned into JSON data.

    Args:
        data: The JSON data.
        other: Receives the kind and the content that the `other` of `stored` made.

    Raises:
        ValueError: The data is damaged.
    """
    if isinstance(data, list):
        return [restored(item, other) for item in data]
    if not isinstance(data, dict):
        return data
    if KIND not in data:
        return {key: restored(item, other) for key, item in data.items()}
    kind, content = data[KIND], data.get("value")
    if kind in _CONTAINERS:
        return _CONTAINERS[kind]([restored(item, other) for item in _items(content)])
    read = _SCALARS.get(kind) if isinstance(kind, str) else None
    if read is None:
        if other is None or not isinstance(kind, str):
            raise ValueError(f"a stored value is of the unknown kind {kind!r}")
        return other(kind, data)
    try:
        return read(content)
    except (TypeError, ArithmeticError, KeyError, AttributeError, LookupError) as error:
        raise ValueError(f"a stored {kind} is damaged: {content!r}") from error


def is_plain(value: Any) -> bool:
    """Whether JSON holds a value and gives the same value back, and `restored` does not change it."""
    try:
        return _is_plain(value)
    except RecursionError:
        return False


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is str:  # before all others: most values are texts
        return is_encodable(value)
    if kind is dict:
        for key, item in value.items():  # a generator would take as long as the check
            if type(key) is not str or not is_encodable(key) or not _is_plain(item):
                return False
        return KIND not in value
    if kind is list:
        return all(_is_plain(item) for item in value)
    return _is_plain_scalar(value)


def _is_plain_scalar(value: Any) -> bool:
    kind = type(value)
    if kind is float:
        return math.isfinite(value)
    if kind is int:
        return bool(value.bit_length() < 3 * _MAX_DIGITS)
    return is_encodable(value) if kind is str else kind in (bool, type(None))


def _stored(value: Any, other: Callable[[Any], Any] | None) -> Any:
    kind = type(value)
    if kind is list:
        return [_stored(item, other) for item in value]
    if kind is dict:
        return _stored_dict(value, other)
    if kind in (tuple, set, frozenset):
        return _tagged(kind.__name__, [_stored(item, other) for item in (value if kind is tuple else in_order(value))])
    if _is_plain_scalar(value):
        return value
    return _stored_scalar(value, other)


def _stored_dict(value: dict[Any, Any], other: Callable[[Any], Any] | None) -> Any:
    if KIND not in value and all(type(key) is str and is_encodable(key) for key in value):
        return {key: _stored(item, other) for key, item in value.items()}
    return _tagged("dict", [[_stored(key, other), _stored(item, other)] for key, item in value.items()])


def _stored_scalar(value: Any, other: Callable[[Any], Any] | None) -> Any:
    if type(value) in _WRITERS:
        name, write = _WRITERS[type(value)]
        return _tagged(name, write(value))
    if _is_numpy(value):
        return _tagged("numpy", _numpy(value))
    if other is None:
        raise NotStorableError(f"a value of the type {type(value).__qualname__} has no stored form")
    return other(value)


def _tagged(kind: str, value: Any) -> dict[str, Any]:
    return {KIND: kind, "value": value}


def _items(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise ValueError(f"a stored collection is damaged: {content!r}")  # noqa: TRY004  the file's mistake
    return content


def _pairs(items: list[Any]) -> dict[Any, Any]:
    try:
        return dict(items)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a stored dict is damaged: {items!r}") from error


def _timedelta(value: dt.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _from_base64(content: Any) -> bytes:
    return base64.b64decode(content, validate=True)


def _is_numpy(value: Any) -> bool:
    numpy = sys.modules.get("numpy")  # a value of numpy's can only be there when numpy is
    return numpy is not None and isinstance(value, numpy.ndarray | numpy.generic) and value.dtype.kind in "biufcSUMm"


def _numpy(value: Any) -> dict[str, Any]:
    with foreign_code():
        import numpy as np  # the value's type implies that numpy is imported

    data = np.asarray(value)
    return {
        "dtype": data.dtype.str,
        "shape": list(data.shape),
        "bytes": _base64(data.tobytes()),
        "scalar": data is not value,
    }


def _from_numpy(content: Any) -> Any:
    with foreign_code():
        import numpy as np  # only where a file holds such a value

    dtype = np.dtype(str(content["dtype"]))
    if dtype.hasobject:
        raise ValueError(f"a stored array cannot be of {dtype}")
    data = np.frombuffer(_from_base64(content["bytes"]), dtype=dtype).reshape(content["shape"]).copy()
    return data[()] if content["scalar"] else data


_CONTAINERS: Mapping[Any, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": _pairs,
}
_WRITERS: Mapping[type, tuple[str, Callable[[Any], Any]]] = {
    float: ("float", repr),
    int: ("int", hex),
    str: ("str", lambda value: _base64(value.encode("utf-8", "surrogatepass"))),
    complex: ("complex", repr),
    bytes: ("bytes", _base64),
    bytearray: ("bytearray", _base64),
    dt.date: ("date", dt.date.isoformat),
    dt.datetime: ("datetime", dt.datetime.isoformat),
    dt.time: ("time", dt.time.isoformat),
    dt.timedelta: ("timedelta", _timedelta),
    decimal.Decimal: ("Decimal", str),
    fractions.Fraction: ("Fraction", str),
    uuid.UUID: ("UUID", str),
    pathlib.PosixPath: ("Path", str),
    pathlib.WindowsPath: ("Path", str),
    pathlib.PurePosixPath: ("PurePosixPath", str),
    pathlib.PureWindowsPath: ("PureWindowsPath", str),
    range: ("range", lambda value: [value.start, value.stop, value.step]),
}
_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "float": float,
    "int": lambda content: int(content, 16),
    "str": lambda content: _from_base64(content).decode("utf-8", "surrogatepass"),
    "complex": complex,
    "bytes": _from_base64,
    "bytearray": lambda content: bytearray(_from_base64(content)),
    "date": dt.date.fromisoformat,
    "datetime": dt.datetime.fromisoformat,
    "time": dt.time.fromisoformat,
    "timedelta": lambda content: dt.timedelta(*content),
    "Decimal": decimal.Decimal,
    "Fraction": fractions.Fraction,
    "UUID": uuid.UUID,
    "Path": pathlib.Path,
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
    "range": lambda content: range(*content),
    "numpy": _from_numpy,
}
