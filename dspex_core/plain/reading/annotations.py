"""Types as annotations write them, and as they are meant. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
import typing
from functools import lru_cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, NewType, Union, get_args, get_origin

_WRAPPERS = (typing.Required, typing.NotRequired, typing.Final, typing.ClassVar)
_IS_OLD = sys.version_info < (3, 12)  # there pydantic takes those of typing_extensions only


def bare_type(kind: Any) -> Any:
    """Return a type without `Annotated`, `NewType` and aliases around it."""
    while True:
        if get_origin(kind) is Annotated or get_origin(kind) in _WRAPPERS:
            kind = get_args(kind)[0]
        elif isinstance(kind, NewType):
            kind = kind.__supertype__
        elif type(kind).__name__ == "TypeAliasType":  # of typing on Python 3.12, else of typing_extensions
            kind = kind.__value__
        else:
            return kind


def is_optional_text(kind: Any) -> bool:
    """Whether a type is text or nothing."""
    bare = bare_type(kind)
    parts = {bare_type(part) for part in get_args(bare)} if get_origin(bare) in (Union, UnionType) else set()
    return parts == {str, NoneType}


def without_none(kind: Any) -> Any:
    """Return an optional type without None; other types unchanged."""
    bare = bare_type(kind)
    others = [part for part in get_args(bare) if part is not NoneType]
    return others[0] if get_origin(bare) in (Union, UnionType) and len(others) == 1 else kind


def unwrapped(kind: Any) -> Any:
    """Return the type of a field without `Required` and the like."""
    while get_origin(kind) in _WRAPPERS:
        kind = get_args(kind)[0]
    return kind


def portable(kind: Any) -> Any:
    """Return a type whose TypedDicts are those that pydantic takes; the type itself where it has no others.

    Those inside a class, such as a dataclass, stay: the class says what its fields are. So does one that holds itself.
    """
    try:
        return _portable(kind) if _IS_OLD else kind
    except RecursionError:
        return kind


def _portable(kind: Any) -> Any:
    if isinstance(kind, type) and typing.is_typeddict(kind):
        return _converted(kind) if type(kind).__module__ == "typing" else kind
    parts = get_args(kind)
    changed = tuple(_portable(part) for part in parts)
    if all(new is old for new, old in zip(changed, parts, strict=True)):
        return kind
    if get_origin(kind) is Annotated:
        return Annotated[changed[0], *kind.__metadata__]
    if isinstance(kind, UnionType):
        return reduce(or_, changed)
    return kind.copy_with(changed) if hasattr(kind, "copy_with") else get_origin(kind)[changed]


@lru_cache(maxsize=256)
def _converted(kind: Any) -> Any:
    from typing_extensions import TypedDict  # comes with pydantic, which is about to be loaded

    optional = kind.__optional_keys__
    fields = {
        name: typing.NotRequired[_portable(unwrapped(hint))] if name in optional else _portable(unwrapped(hint))
        for name, hint in typing.get_type_hints(kind, include_extras=True).items()
    }
    made: Any = TypedDict(kind.__name__, fields)  # type: ignore[misc]  # known at run time only
    made.__doc__ = kind.__doc__
    return made
