"""Any value as JSON data that is the same in every process, for fingerprints. PYTEST_DONT_REWRITE

Neither hash seeds nor addresses, places of modules or versions of Python show in it, and no credentials. It says what a
value is; the value cannot be made again from it.
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import hashlib
import inspect
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from dspex_core.plain.secrets import HIDDEN, SecretText, is_private, looks_secret, masked
from dspex_core.plain.used_code import UsedCode, is_class_of_project

Special = Callable[[Any], Any]

_DEEPEST = 12
_LONGEST = 10**1000
_ROOT = __name__.partition(".")[0]
_MISSING = object()


def described(value: Any, special: Special | None = None) -> Any:
    """Return a value as JSON data.

    Args:
        value: Any value: numbers, texts, collections, functions, classes, objects with attributes.
        special: Returns the data of values that it knows, and `NotImplemented` for all others.
    """
    return _Description(special).of(value, 0)


def short_digest(data: Any) -> str:
    """Return a hash of JSON data in 16 hexadecimal digits."""
    text = json.dumps(data, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def code_digest(value: Any) -> str:
    """Return a hash of the text of a function or a class, with all of the project that it uses by name."""
    used = UsedCode()
    used.add(value)
    return short_digest(sorted(text for _, text in used.parts))


class _Description:
    def __init__(self, special: Special | None) -> None:
        self._special = special
        self._open: set[int] = set()  # the values that hold the present one

    def of(self, value: Any, depth: int) -> Any:
        scalar = _scalar(value)
        if scalar is not _MISSING:
            return scalar
        if id(value) in self._open or depth > _DEEPEST:
            return {"class": type(value).__name__}
        self._open.add(id(value))
        try:
            known = NotImplemented if self._special is None else self._special(value)
            return self._compound(value, depth + 1) if known is NotImplemented else known
        finally:
            self._open.discard(id(value))

    def _compound(self, value: Any, depth: int) -> Any:  # noqa: PLR0911  one return per kind of value
        match value:
            case Mapping():
                return self._named(value.items(), depth)
            case list() | tuple():
                return [self.of(item, depth) for item in value]
            case set() | frozenset():
                return sorted((self.of(item, depth) for item in value), key=short_digest)
            case functools.partial():
                return {"partial": self.of(value.func, depth), **self._arguments(value.args, value.keywords, depth)}
            case MethodType():
                return {"method": value.__name__, "of": self.of(value.__self__, depth)}
            case FunctionType():
                return self._function(value, depth)
            case BuiltinFunctionType() | type() | ModuleType():  # what is in a module is not part of the value
                return {"name": value.__name__}
        code = {"code": code_digest(type(value))} if callable(value) and is_class_of_project(type(value)) else {}
        return {"class": type(value).__name__, **code, **self._named(_attributes(value), depth)}

    def _arguments(self, args: Iterable[Any], named: Mapping[str, Any], depth: int) -> dict[str, Any]:
        return {"args": [self.of(item, depth) for item in args], "kwargs": self._named(named.items(), depth)}

    def _named(self, items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        texts = {_key(key): item for key, item in items}
        return {key: self.of(texts[key], depth) for key in sorted(texts) if not is_private(key)}

    def _function(self, function: FunctionType, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {"function": function.__name__}
        if function.__module__ is None or function.__module__.partition(".")[0] != _ROOT:
            found["code"] = code_digest(function)  # an update of this library is not an edit of the user's
        names = function.__code__.co_freevars
        cells = [(name, _content(cell)) for name, cell in zip(names, function.__closure__ or (), strict=True)]
        held = self._named(((name, held) for name, held in cells if held is not function), depth)
        return {**found, "closure": held} if held else found


def _scalar(value: Any) -> Any:  # noqa: PLR0911  as above
    """Return the data of a value without parts, or `_MISSING`."""
    match value:
        case enum.Enum():
            return f"{type(value).__name__}.{value.name}"
        case None | bool():
            return value
        case int():
            return value if abs(value) < _LONGEST else hex(value)  # Python refuses to write one of 4,300 digits
        case float():
            return value if math.isfinite(value) else repr(value)
        case str():
            return HIDDEN if isinstance(value, SecretText) or looks_secret(value) else masked(str(value))
        case bytes() | bytearray():
            return f"{len(value)} bytes {hashlib.sha256(value).hexdigest()[:16]}"
        case dt.date() | dt.time():
            return value.isoformat()
        case PurePath():
            return value.name  # the folders are those of one machine
        case re.Pattern():
            return f"/{value.pattern!s}/{value.flags}"
    return _MISSING


def _key(key: Any) -> str:
    found = _scalar(key)
    return found if isinstance(found, str) else repr(found) if found is not _MISSING else type(key).__name__


def _attributes(value: Any) -> list[tuple[str, Any]]:
    """Return the public attributes of an object, those in slots included."""
    names = list(vars(value)) if hasattr(value, "__dict__") else []
    for kind in type(value).__mro__:
        slots = vars(kind).get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    found = [(name, inspect.getattr_static(value, name, _MISSING)) for name in names if name[:1] != "_"]
    return [(name, _read(value, name, held)) for name, held in found if held is not _MISSING]


def _read(value: Any, name: str, held: Any) -> Any:
    return getattr(value, name, None) if inspect.ismemberdescriptor(held) else held


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is bound later
        return None
