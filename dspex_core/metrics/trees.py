"""Two trees of JSON data, compared leaf by leaf. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.errors.optional import optional
from dspex_core.metrics.comparison import is_missing, parts, same

_SETS = (set, frozenset)
_LISTS = (list, tuple, *_SETS)


@dataclass(slots=True)
class Comparison:
    """What two trees share.

    Args:
        shared: How many leaves are right.
        wanted: How many leaves the expected tree has.
        found: How many leaves the other one has.
        only_found: How many leaves are at places that only the other one has.
        filled: How many empty lists and objects of the expected tree have something in the other one.
        wrong: The expected and the other value at each path where both have one and they differ.
        missing: The paths that only the expected tree has.
        additional: The paths that only the other one has.
    """

    shared: int = 0
    wanted: int = 0
    found: int = 0
    only_found: int = 0
    filled: int = 0
    wrong: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    additional: list[str] = field(default_factory=list)

    def add(self, other: Comparison) -> None:
        """Add what two parts of the trees share."""
        self.shared += other.shared
        self.wanted += other.wanted
        self.found += other.found
        self.only_found += other.only_found
        self.filled += other.filled
        self.wrong |= other.wrong
        self.missing += other.missing
        self.additional += other.additional


def compare_trees(wanted: Any, found: Any, *, ordered: bool, normalize: bool) -> Comparison:
    """Compare two trees; without `ordered`, items of lists are paired so that most leaves are right."""
    return _Comparing(ordered=ordered, normalize=normalize).of(wanted, found, "")


def assigned(gains: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """Return pairs of a row and a column, each at most once, such that the sum of their gains is the highest."""
    if not gains or not gains[0]:
        return []
    if len(gains) == 1:
        return [(0, max(range(len(gains[0])), key=lambda column: gains[0][column]))]
    scipy = optional("scipy.optimize", "pairing the items of lists without an order needs SciPy", extra="metrics")
    with foreign_code():
        rows, columns = scipy.linear_sum_assignment(gains, maximize=True)
    return list(zip(map(int, rows), map(int, columns), strict=True))


@dataclass(frozen=True, slots=True)
class _Comparing:
    ordered: bool
    normalize: bool

    def of(self, wanted: Any, found: Any, path: str) -> Comparison:
        one, other = _present(wanted), _present(found)
        whole = None
        if isinstance(one, Mapping) and isinstance(other, Mapping) and (one or other):
            whole = self._of_fields(one, other, path)
        elif isinstance(one, _LISTS) and isinstance(other, _LISTS) and (one or other):
            is_set = isinstance(one, _SETS) or isinstance(other, _SETS)
            compare = self._of_items if self.ordered and not is_set else self._of_bags
            whole = compare(list(one), list(other), path)
        if whole is not None:  # an empty list or object is a leaf, beside those that the other tree has there
            whole.wanted += not one
            whole.filled += not one
            whole.found += not other
            return whole
        if same(one, other, normalize=self.normalize):
            return Comparison(shared=1, wanted=1, found=1)
        return Comparison(wanted=_leaves(one), found=_leaves(other), wrong={path: (wanted, found)})

    def _of_fields(self, wanted: Mapping[Any, Any], found: Mapping[Any, Any], path: str) -> Comparison:
        whole = Comparison()
        for name in {**wanted, **found}:
            place = f"{path}.{name}" if path else str(name)
            if name in wanted and name in found:
                whole.add(self.of(wanted[name], found[name], place))
            elif name in wanted:
                whole.add(_missing(wanted[name], place))
            else:
                whole.add(_additional(found[name], place))
        return whole

    def _of_items(self, wanted: list[Any], found: list[Any], path: str) -> Comparison:
        whole = Comparison()
        for number, (one, other) in enumerate(zip(wanted, found, strict=False)):
            whole.add(self.of(one, other, f"{path}[{number}]"))
        shared = min(len(wanted), len(found))
        self._add_rest(whole, dict(enumerate(wanted[shared:], shared)), dict(enumerate(found[shared:], shared)), path)
        return whole

    def _of_bags(self, wanted: list[Any], found: list[Any], path: str) -> Comparison:
        """Compare lists whose order does not count. Equal items belong together: no other pairing has more right."""
        whole, left, rest = Comparison(), dict(enumerate(found)), {}
        for number, one in enumerate(wanted):
            equal = next((place for place, other in left.items() if self._is_same(one, other)), None)
            if equal is None:
                rest[number] = one
            else:
                whole.add(self.of(one, left.pop(equal), f"{path}[{number}]"))
        pairs = [[self.of(one, other, f"{path}[{number}]") for other in left.values()] for number, one in rest.items()]
        rows, columns = list(rest), list(left)
        for row, column in assigned([[pair.shared for pair in line] for line in pairs]):
            whole.add(pairs[row][column])
            del rest[rows[row]], left[columns[column]]
        self._add_rest(whole, rest, left, path)
        return whole

    def _is_same(self, one: Any, other: Any) -> bool:
        """Whether two items are equal; lists in them may be in another order."""
        if isinstance(_present(one), (Mapping, *_LISTS)):
            found = self.of(one, other, "")
            return found.shared == found.wanted == found.found
        return same(one, other, normalize=self.normalize)

    def _add_rest(self, whole: Comparison, wanted: Mapping[int, Any], found: Mapping[int, Any], path: str) -> None:
        for number, one in wanted.items():
            whole.add(_missing(one, f"{path}[{number}]"))
        for number, other in found.items():
            whole.add(_additional(other, f"{path}[{number}]"))


def _present(value: Any) -> Any:
    """Return the parts of a value; a field without a value is as one that is not there."""
    inner = parts(value)
    if isinstance(inner, Mapping):
        return {name: item for name, item in inner.items() if not is_missing(item)}
    return inner


def _missing(value: Any, path: str) -> Comparison:
    """Return what a place that only the expected tree has adds."""
    return Comparison(wanted=_leaves(value), missing=[path])


def _additional(value: Any, path: str) -> Comparison:
    return Comparison(found=_leaves(value), only_found=_leaves(value), additional=[path])


def _leaves(value: Any) -> int:
    """Return how many values without parts a tree has; an empty list or object is one."""
    inner = _present(value)
    if isinstance(inner, Mapping):
        return sum(map(_leaves, inner.values())) or 1
    return sum(map(_leaves, inner)) or 1 if isinstance(inner, _LISTS) else 1
