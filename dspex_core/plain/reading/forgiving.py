"""Lenient conversion of a model's values to a type. PYTEST_DONT_REWRITE

It applies only to values that pydantic has refused, and only if there is one plausible reading, at any depth: a number
where text is wanted, the case of a choice, JSON text for a list, `$1,000.50`.
"""

from __future__ import annotations

import collections.abc
import json
import typing
from collections import deque
from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from decimal import Decimal
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from dspex_core.plain.prompt_values import PromptValue
from dspex_core.plain.reading.annotations import bare_type, portable, unwrapped
from dspex_core.plain.reading.choices import choice, choices, normal_name, undecorated
from dspex_core.plain.reading.dates import moments_meant
from dspex_core.plain.reading.numbers import WrittenNumber, numbers_meant
from dspex_core.plain.reading.texts import lines_of, literal_readings, repaired_readings

_MAX_DEPTH = 60  # no type that a person writes is deeper; a model caught in a loop is
_NOTHING = frozenset({"null", "none", "n/a", "na", "nil", "undefined", "not applicable"})
_LISTS = (
    *(list, set, frozenset, tuple, deque, collections.abc.Sequence, collections.abc.MutableSequence),
    *(collections.abc.Set, collections.abc.MutableSet, collections.abc.Iterable, collections.abc.Collection),
)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping, collections.OrderedDict)


class AmbiguousValueError(ValueError):
    """A value that may mean several things."""


def forgiven(kind: Any, value: Any, depth: int = 0) -> Any:
    """Return a value converted leniently to a type; unchanged if there is nothing to convert.

    Raises:
        AmbiguousValueError: The value may mean several things.
    """
    if depth > _MAX_DEPTH:
        return value
    bare = bare_type(kind)
    origin = get_origin(bare) or bare
    named = choices(bare)
    if named:
        return choice(named, _scalar_text(value)) if isinstance(value, str | int | float) else value
    if bare is str:
        return value if isinstance(value, str) else _as_text(value)
    if origin in (Union, UnionType):
        return _in_union(get_args(bare), value, depth)
    if origin in _LISTS or origin in _DICTS or fields_of(bare):
        return _in_container(bare, value, depth)
    return _scalar(kind, bare, value) if isinstance(value, str) else value


def is_list(kind: Any) -> bool:
    """Whether the values of a type are lists, sets or tuples."""
    bare = bare_type(kind)
    return (get_origin(bare) or bare) in _LISTS


def means_nothing(text: str) -> bool:
    """Whether a text stands for a missing value."""
    return undecorated(text).casefold() in _NOTHING


def _as_text(value: Any) -> Any:
    """Return a number as a text; other values unchanged."""
    return _scalar_text(value) if isinstance(value, int | float | Decimal) else value


def _scalar_text(value: Any) -> str:
    if isinstance(value, str | Decimal | WrittenNumber):
        return str(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _in_union(parts: tuple[Any, ...], value: Any, depth: int) -> Any:
    if any(fits(part, value) for part in parts):
        return value
    if None in parts or NoneType in parts:
        if isinstance(value, str) and means_nothing(value):
            return None
        if {bare_type(part) for part in parts} <= {str, NoneType, None} and isinstance(value, list | dict):
            return json.dumps(value, ensure_ascii=False)
    for part in parts:
        found = forgiven(part, value, depth + 1)
        if found is not value and fits(part, found):
            return found
    return value


def _in_container(kind: Any, value: Any, depth: int) -> Any:
    if not isinstance(value, str):
        return _inside(kind, value, depth)
    for found in (*literal_readings(value), *repaired_readings(value)):
        if isinstance(found, list | tuple | dict):
            meant = _inside(kind, found, depth)
            if fits(kind, meant):
                return meant
    items = lines_of(value) if (get_origin(kind) or kind) in _LISTS else None
    return value if items is None else _inside(kind, items, depth)


def _inside(kind: Any, value: Any, depth: int) -> Any:
    """Return a list or an object with each part converted to its type."""
    parts, fields = get_args(kind), fields_of(kind)
    if isinstance(value, Mapping) and fields:
        return _in_fields(fields, value, depth)
    if isinstance(value, list | tuple) and fields and issubclass(kind, tuple):  # a named tuple as a list
        each: list[Any] = [*fields.values(), *[Any] * len(value)]
    elif isinstance(value, list | tuple) and parts:
        each_its_own = get_origin(kind) is tuple and parts[-1] is not Ellipsis
        each = [*parts, *[Any] * len(value)] if each_its_own else [parts[0]] * len(value)
    elif isinstance(value, Mapping) and len(parts) == 2:  # noqa: PLR2004  the types of key and value
        pairs = {forgiven(parts[0], key, depth + 1): forgiven(parts[1], item, depth + 1) for key, item in value.items()}
        return _unless_same(pairs, value)
    else:
        return value
    return _unless_same([forgiven(part, item, depth + 1) for part, item in zip(each, value, strict=False)], value)


def _in_fields(fields: Mapping[str, Any], value: Mapping[Any, Any], depth: int) -> Any:
    names = field_names(fields, value)
    found = {
        names.get(key, key): forgiven(fields[names.get(key, key)], item, depth + 1)
        if names.get(key, key) in fields
        else item
        for key, item in value.items()
    }
    return _unless_same(found, value)


def field_names(fields: typing.Iterable[str], given: typing.Iterable[Any]) -> dict[Any, str]:
    """Return the fields meant by keys with another case, spaces or dashes."""
    fields, given = list(fields), list(given)
    unknown = [key for key in given if isinstance(key, str) and key not in fields]
    missing: dict[str, list[str]] = {}
    for name in fields:
        if unknown and name not in given:
            missing.setdefault(normal_name(name), []).append(name)
    meant = {key: missing.get(normal_name(key), []) for key in unknown}
    taken = [names[0] for names in meant.values() if len(names) == 1]
    return {key: names[0] for key, names in meant.items() if len(names) == 1 and taken.count(names[0]) == 1}


def _unless_same(new: Any, old: Any) -> Any:
    if isinstance(new, dict):
        same = list(new) == list(old) and all(new[key] is old[key] for key in new)
    else:
        same = len(new) == len(old) and all(one is other for one, other in zip(new, old, strict=True))
    return old if same else new


def _scalar(kind: Any, bare: Any, text: str) -> Any:
    if bare is NoneType or bare is None:
        return None if means_nothing(text) else text
    if bare in (int, float, Decimal):
        return _number(kind, bare, text)
    for found in (undecorated(text), *moments_meant(bare, text)):
        if found != text and fits(kind, found):
            return found
    return text


def _number(kind: Any, bare: Any, text: str) -> Any:
    meant = numbers_meant(text, whole=bare is int)
    fitting = [number for number in meant if fits(kind, number)]
    if len(fitting) > 1:
        named = " or ".join(f"{number.normalize():f}" for number in fitting)
        raise AmbiguousValueError(f"{text!r} may mean {named}: write the number alone")
    return fitting[0] if fitting else text


def fields_of(kind: Any) -> dict[str, Any]:
    """Return the types of a model's fields by their names in data; empty for other types."""
    origin = get_origin(kind) or kind
    if not isinstance(origin, type) or issubclass(origin, PromptValue):
        return {}
    found: dict[str, Any] = _own_fields(origin)  # type: ignore[arg-type]  # classes have a hash
    return found


@lru_cache(maxsize=512)
def _own_fields(kind: Any) -> dict[str, Any]:
    from pydantic import BaseModel  # heavy, but already loaded by callers

    if issubclass(kind, BaseModel):
        return {
            name: Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            for key, field in kind.model_fields.items()
            for name in ([field.validation_alias] if isinstance(field.validation_alias, str) else [field.alias or key])
        }
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    if not (is_dataclass(kind) or is_named_tuple or typing.is_typeddict(kind) or _is_typed_dict(kind)):
        return {}
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except (NameError, TypeError, AttributeError):  # a type that is not there at run time
        return {}
    if is_dataclass(kind):
        return {field.name: hints[field.name] for field in dataclass_fields(kind) if field.init}
    return {name: unwrapped(hint) for name, hint in hints.items()}


def _is_typed_dict(kind: Any) -> bool:
    from typing_extensions import is_typeddict  # comes with pydantic

    return is_typeddict(kind)


def fits(kind: Any, value: Any) -> bool:
    """Whether a value is one of a type by pydantic's lax rules."""
    try:
        _validator(kind).validate_python(value)
    except Exception:  # noqa: BLE001  a user's validator may raise anything
        return False
    return True


def _validator(kind: Any) -> Any:
    try:
        return _cached_validator(kind)
    except TypeError:  # an annotation that has no hash
        return _new_validator(kind)


def _new_validator(kind: Any) -> Any:
    import pydantic  # as in _own_fields

    kind = portable(kind)
    try:
        return pydantic.TypeAdapter(kind)
    except pydantic.errors.PydanticSchemaGenerationError:
        return pydantic.TypeAdapter(kind, config={"arbitrary_types_allowed": True})


_cached_validator = lru_cache(maxsize=512)(_new_validator)
