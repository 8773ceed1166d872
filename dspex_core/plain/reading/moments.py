"""Numbers that pydantic takes for seconds since 1970 where a date or a time is wanted. PYTEST_DONT_REWRITE

A model that answers `5`, `10.30` or `20240305` does not mean 1970.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any, get_args, get_origin

from dspex_core.plain.reading.annotations import bare_type
from dspex_core.plain.reading.forgiving import AmbiguousValueError, fields_of, fits

_MOMENTS = (date, datetime, time)
_EPOCHS = ((1e8, 4.2e9), (1e11, 4.2e12))  # from 1973 to 2103, in seconds and in milliseconds
_MAX_DEPTH = 20


def check_moments(kind: Any, value: Any) -> None:
    """Refuse a number where a date or a time is wanted, at any depth.

    Raises:
        AmbiguousValueError: There is such a number, and it is not a likely timestamp.
    """
    if _holds_moments(kind):
        _check(kind, value, 0)


def _check(kind: Any, value: Any, depth: int) -> None:
    bare, parts = bare_type(kind), get_args(bare_type(kind))
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        fields = fields_of(bare)
        for key, item in value.items():
            _check(fields[key] if key in fields else parts[-1] if parts and not fields else Any, item, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            _check(parts[0] if parts else Any, item, depth + 1)
    elif (number := _number(value)) is not None and _means_moment(bare, value, number):
        raise AmbiguousValueError(f"{value!r} is a number, not a {_name(bare)}: write it as ISO 8601 has it")


def _means_moment(bare: Any, value: Any, number: float) -> bool:
    """Whether a number could only be a moment of a type, and is no likely timestamp."""
    kinds = [bare_type(part) for part in get_args(bare)] or [bare]
    others = [kind for kind in kinds if kind not in _MOMENTS]
    if len(others) == len(kinds) or any(fits(kind, value) for kind in others):
        return False
    is_epoch = any(least <= abs(number) < most for least, most in _EPOCHS)
    return time in kinds or not is_epoch


def _name(bare: Any) -> str:
    kinds = [kind for kind in map(bare_type, get_args(bare) or (bare,)) if kind in _MOMENTS]
    return str(kinds[0].__name__)


def _number(value: Any) -> float | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _holds_moments(kind: Any) -> bool:
    try:
        return _cached(kind)
    except TypeError:  # an annotation that has no hash
        return _holds(kind, 0)


def _holds(kind: Any, depth: int) -> bool:
    bare = bare_type(kind)
    if bare in _MOMENTS:
        return True
    if depth > _MAX_DEPTH:
        return False
    origin = get_origin(bare) or bare
    parts = [part for part in get_args(bare) if part is not Ellipsis] if origin is not None else []
    inner = [*parts, *(fields_of(bare).values() if isinstance(origin, type) else ())]
    return any(_holds(part, depth + 1) for part in inner if not isinstance(part, str | int))


@lru_cache(maxsize=512)
def _cached(kind: Any) -> bool:
    return _holds(kind, 0)
