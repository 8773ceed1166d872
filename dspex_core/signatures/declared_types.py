"""The classes that a type declares: in its parameters, and in the fields of its models. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import dataclasses
import typing
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def classes_in(type_: Any) -> frozenset[type]:
    """Return all classes in a type, those in the fields of its models and dataclasses, and their subclasses."""
    found = each_part(type_, lambda part: [*parts_of(part), *_subclasses(part)])
    return frozenset(part for part in found if isinstance(part, type) and typing.get_origin(part) is None)


def each_part(type_: Any, parts: Callable[[Any], list[Any]] | None = None) -> Iterator[Any]:
    """Yield a type and all that it is made of, each once.

    Args:
        type_: The type.
        parts: Returns what a part leads to; `parts_of` by default.
    """
    seen: list[Any] = []
    todo = [type_]
    while todo:
        part = todo.pop()
        if any(part is known for known in seen):
            continue
        seen.append(part)
        yield part
        todo += (parts or parts_of)(part)


def _subclasses(part: Any) -> list[type]:
    return type.__subclasses__(part) if isinstance(part, type) and part.__module__ != "builtins" else []


def parts_of(type_: Any) -> list[Any]:
    """Return the types that a type is made of: its parameters, and the types of its fields."""
    if typing.get_origin(type_) is Literal:
        return [type(choice) for choice in typing.get_args(type_)]
    parts = list(typing.get_args(type_))
    value = getattr(type_, "__value__", None)  # `type Name = ...` of Python 3.12
    if value is not None and not isinstance(type_, type):
        parts.append(value)
    if isinstance(type_, type):
        origin = typing.get_origin(type_)
        parts += _field_types(type_ if origin is None else origin)
    return parts


def _field_types(cls: type) -> list[Any]:
    fields = getattr(cls, "model_fields", None)  # pydantic is not imported here
    if isinstance(fields, dict):
        return [part for field in fields.values() for part in (field.annotation, *field.metadata)]
    if dataclasses.is_dataclass(cls) or hasattr(cls, "_fields") or typing.is_typeddict(cls):
        try:
            return list(typing.get_type_hints(cls, include_extras=True).values())
        except (NameError, TypeError, AttributeError):
            return list(getattr(cls, "__annotations__", {}).values())
    return []
