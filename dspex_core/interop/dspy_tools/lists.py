"""Lists in groups and pieces, and dicts with attributes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import copy
import sys
from collections import defaultdict
from datetime import datetime
from itertools import chain, groupby, pairwise, zip_longest
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

T = TypeVar("T")


class dotdict(dict[str, Any]):  # noqa: N801  DSPy's name
    """A dict whose keys are attributes, which may be set and deleted."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None

    def __deepcopy__(self, memo: dict[int, Any]) -> dotdict:
        return type(self)(copy.deepcopy(dict(self), memo))


class dotdict_lax(dotdict):  # noqa: N801  DSPy's name
    """A `dotdict` whose attributes are None where there is no such key."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # how Python asks what an object can do
            raise AttributeError(name)
        return self.get(name)


def deduplicate(seq: Iterable[T]) -> list[T]:
    """Return the items without those that came before, in their order."""
    return list(dict.fromkeys(seq))


def flatten(data_list: Iterable[Iterable[T]]) -> list[T]:
    """Return the items of all lists in one list."""
    return list(chain.from_iterable(data_list))


def batch(group: Sequence[Any], bsize: int, provide_offset: bool = False) -> Iterator[Any]:  # noqa: FBT001, FBT002  as in DSPy
    """Yield parts of at most `bsize` items, with the index of their first one if asked for."""
    for offset in range(0, len(group), bsize):
        part = group[offset : offset + bsize]
        yield (offset, part) if provide_offset else part


def grouper(iterable: Iterable[Any], n: int, fillvalue: Any = None) -> Iterator[tuple[Any, ...]]:
    """Yield tuples of `n` items; the last one is filled up."""
    return zip_longest(*[iter(iterable)] * n, fillvalue=fillvalue)


def zipstar(data_list: Sequence[Sequence[Any]], lazy: bool = False) -> Any:  # noqa: FBT001, FBT002  as in DSPy
    """Return the columns of rows of equal length."""
    columns = zip(*data_list, strict=False)
    return columns if lazy else list(map(list, columns))


def zip_first(list1: Sequence[Any], list2: Iterable[Any]) -> list[tuple[Any, Any]]:
    """Return pairs.

    Raises:
        ValueError: The first list has more items than the second one.
    """
    pairs = list(zip(list1, list2, strict=False))
    if len(pairs) != len(list1):
        raise ValueError(f"zip_first needs an item for each of {len(list1)}, and got {len(pairs)}")
    return pairs


def int_or_float(val: str) -> int | float:
    """Read a number: one with a point is a float."""
    return float(val) if "." in val else int(val)


def lengths2offsets(lengths: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield where pieces of these lengths begin and end."""
    ends = [0]
    for length in lengths:
        ends.append(ends[-1] + length)
    return pairwise(ends)


def groupby_first_item(lst: Iterable[Sequence[Any]]) -> dict[Any, list[Any]]:
    """Return what follows each first item; a single value stands for itself."""
    groups: dict[Any, list[Any]] = defaultdict(list)
    for first, *rest in lst:
        groups[first].append(rest[0] if len(rest) == 1 else rest)
    return groups


def process_grouped_by_first_item(lst: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield `groupby_first_item` group by group, of rows in which those of a group stand together."""
    for _, rows in groupby(lst, key=lambda row: row[0]):
        yield from groupby_first_item(rows).items()


def timestamp(daydir: bool = False) -> str:  # noqa: FBT001, FBT002  as in DSPy
    """Return the time now for the name of a file, or for that of a folder of the day and a file."""
    return datetime.now().strftime("%Y-%m/%d/%H.%M.%S" if daydir else "%Y-%m-%d_%H.%M.%S")  # noqa: DTZ005  the user's own clock


def print_message(*s: Any, condition: bool = True, pad: bool = False, sep: str | None = None) -> str:  # noqa: ARG001  as in DSPy
    """Write a line with the time to `sys.stdout`, unless `condition` is false; return it.

    `sep` has no effect, as in DSPy.
    """
    line = f"[{datetime.now():%b %d, %H:%M:%S}] {' '.join(map(str, s))}"  # noqa: DTZ005  the user's own clock
    if condition:
        sys.stdout.write(f"\n{line}\n\n" if pad else f"{line}\n")
        sys.stdout.flush()
    return line
