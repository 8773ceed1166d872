"""Conversion of values into the sandbox and back: JSON-like data. PYTEST_DONT_REWRITE

None, booleans, numbers, texts, lists, and dicts with such keys (other keys become text). Models, dataclasses, dates,
sets, tuples, ... take their JSON form.
"""

from __future__ import annotations

import keyword
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import InterpreterError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.plain.sets import TooManyItemsError, in_order, with_ordered_sets
from dspex_core.plain.text import is_encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

_ATOMS = (type(None), bool, int, float, str)
_MAX_DEPTH = 100
_MAX_INT_BITS = 14_284  # Python's limit of 4,300 digits


def variables_in(variables: Mapping[str, Any] | None, tools: Collection[str] = ()) -> dict[str, Any]:
    """Return variables in the sandbox's form.

    Raises:
        InterpreterError: A variable cannot be passed, or has the name of a tool.
    """
    taken = [name for name in variables or {} if name in tools]
    if taken:
        raise InterpreterError(f"{taken[0]!r} is a tool: give the variable another name", kind="usage")
    return {name: _variable(name, value) for name, value in (variables or {}).items()}


def tool_result_in(value: Any) -> Any:
    """Return a tool's result in the sandbox's form; values that are not data become text.

    Raises:
        ValueError: The result is nested too deeply, or in itself.
    """
    return _Copy(_data_or_text).of(value)


def exception_in(error: Exception) -> Exception:
    """Return a tool's exception in the sandbox's form: with an encodable message."""
    text = str(error)
    return error if is_encodable(text) else RuntimeError(ascii(text))


def value_out(value: Any, *, max_size: float = math.inf) -> Any:
    """Return a value of the sandbox as JSON-like data; values that are not data become text.

    Raises:
        ValueError: The value is larger than `max_size` (characters of text, and one for each other value), nested too
            deeply, or has an integer that is too long to write.
    """
    return _Copy(_data_or_text, max_size).of(value)


def _variable(name: str, value: Any) -> Any:
    if not name.isidentifier() or keyword.iskeyword(name):
        raise InterpreterError(f"{name!r} cannot be the name of a variable; use an identifier", kind="usage")
    try:
        return _Copy(_data).of(value)
    except (ValueError, TypeError) as error:
        raise InterpreterError(
            f"the variable {name!r} cannot be passed to the code: {error}; pass JSON-like data", kind="usage"
        ) from error


@dataclass(slots=True)
class _Copy:
    """Copies a value as plain data; `other` converts values that are not data."""

    other: Callable[[Any], Any]
    room: float = math.inf

    def of(self, value: Any, depth: int = 0) -> Any:
        self.room -= len(value) if isinstance(value, str) else 1
        if self.room < 0:
            raise ValueError("it is too large")
        if depth > _MAX_DEPTH:
            raise ValueError(f"it is nested in itself, or deeper than {_MAX_DEPTH} levels")
        kind = type(value)
        if kind in _ATOMS:
            if kind is int and value.bit_length() > _MAX_INT_BITS:
                raise ValueError("it has an integer that is too long to write")
            if kind is str and not is_encodable(value):
                raise ValueError("it has a text with half a character (a lone surrogate)")
            return value
        if isinstance(value, dict):
            return {self._key(key): self.of(item, depth + 1) for key, item in value.items()}
        if isinstance(value, set | frozenset):
            value = in_order(value)
        if isinstance(value, list | tuple):
            return [self.of(item, depth + 1) for item in value]
        return self.of(self.other(value), depth + 1)

    def _key(self, key: Any) -> Any:
        plain = self.of(key, 1)
        return plain if type(plain) in _ATOMS else repr(key)


def _data(value: Any) -> Any:
    from pydantic_core import to_jsonable_python  # loads pydantic on demand

    return to_jsonable_python(with_ordered_sets(value))


def _data_or_text(value: Any) -> Any:
    from pydantic_core import to_jsonable_python  # as above

    with foreign_code():
        from pydantic_monty import MontyClassProxy

    if isinstance(value, MontyClassProxy):  # an instance of a class that the code has defined
        return value.attributes
    try:
        return to_jsonable_python(with_ordered_sets(value), fallback=repr)
    except TooManyItemsError:
        raise
    except ValueError:  # bytes that are not text
        return repr(value)
