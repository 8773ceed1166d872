"""Sets in an order that is the same in every process. PYTEST_DONT_REWRITE

Python iterates over a set in an order that depends on the process's hash seed and on how the set was made. A prompt
written in that order would miss its recording and its cached reply in the next run.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LEAVES = (str, bytes, int, float, complex, type(None))

_MOST_ITEMS = 100_000  # of an iterator: some never end


class TooManyItemsError(ValueError):
    """An iterator yields more items than can be written."""


class _OrderedSet(set[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(in_order(super().__iter__()))


class _OrderedFrozenSet(frozenset[Any]):
    def __iter__(self) -> Iterator[Any]:
        return iter(in_order(super().__iter__()))


def in_order(items: Iterable[Any]) -> list[Any]:
    """Return the items of a set: texts and numbers sorted, all else in the order of their representations."""
    items = list(items)
    if all(type(item) is str for item in items) or all(isinstance(item, int | float) for item in items):
        return sorted(items, key=_nan_last)
    return sorted(items, key=lambda item: repr(with_ordered_sets(item)))


def with_ordered_sets(value: Any) -> Any:
    """Return the value itself, or where it has a set inside an equal one whose sets are iterated in order.

    Looks into lists, tuples, dicts, dataclasses and pydantic models. Iterators become lists.

    Raises:
        TooManyItemsError: An iterator does not end.
    """
    try:
        return _ordered(value)
    except RecursionError:  # it contains itself; whoever writes it says so
        return value


def _ordered(value: Any) -> Any:
    kind = type(value)
    if kind in _LEAVES:
        return value
    if isinstance(value, set | frozenset):
        return (_OrderedSet if isinstance(value, set) else _OrderedFrozenSet)(map(_ordered, value))
    if kind in (list, tuple):
        items = [_ordered(item) for item in value]
        return value if _same(items, value) else kind(items)
    if isinstance(value, dict):
        return _with_items(value)
    if dataclasses.is_dataclass(value) or hasattr(kind, "__pydantic_fields__"):
        return _with_attributes(value)
    return _items_of(value) if isinstance(value, Iterator) else value


def _items_of(iterator: Iterator[Any]) -> list[Any]:
    items = list(islice(iterator, _MOST_ITEMS + 1))
    if len(items) > _MOST_ITEMS:
        message = f"an iterator ({type(iterator).__name__}) yields more than {_MOST_ITEMS:,} items; return a list"
        raise TooManyItemsError(message)
    return [_ordered(item) for item in items]


def _with_items(value: Mapping[Any, Any]) -> Any:
    ordered = {key: _ordered(item) for key, item in value.items()}
    return value if _same(ordered.values(), value.values()) else ordered


def _with_attributes(value: Any) -> Any:
    attributes = getattr(value, "__dict__", None)
    if attributes is None:  # a dataclass with slots
        attributes = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    changed = {name: new for name, old in attributes.items() if (new := _ordered(old)) is not old}
    if not changed:
        return value
    clone = copy.copy(value)
    for name, item in changed.items():
        object.__setattr__(clone, name, item)  # a frozen class, too; nothing is validated again
    return clone


def _nan_last(item: Any) -> tuple[bool, Any]:
    return (item != item, item)  # noqa: PLR0124  NaN alone differs from itself


def _same(new: Iterable[Any], old: Iterable[Any]) -> bool:
    return all(one is other for one, other in zip(new, old, strict=True))
