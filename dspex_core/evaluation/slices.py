"""The scores of parts of a dataset. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.example import Record
from dspex_core.programs.demos.stored import plainest
from dspex_core.stats import Interval, clustered_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dspex_core.evaluation.grouped import ExampleResult

_MISSING = "(missing)"


@dataclass(frozen=True, slots=True)
class Slice:
    """The examples with one value.

    Args:
        name: The value.
        n: The number of examples.
        mean: Their mean score.
        interval: The 95 % interval of that.
        errors: The number of attempts that failed.
    """

    name: str
    n: int
    mean: float
    interval: Interval
    errors: int


@dataclass(frozen=True, slots=True)
class Slices:
    """The slices of an evaluation by one key, in the order of their names; `str` shows them as a table."""

    key: str
    slices: tuple[Slice, ...]

    def __iter__(self) -> Iterator[Slice]:
        return iter(self.slices)

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, name: object) -> Slice:
        """Return the slice of a value: `result.by("language")["de"]`.

        Raises:
            ConfigurationError: No example has it.
        """
        for found in self.slices:
            if found.name == _name(name):
                return found
        known = ", ".join(repr(found.name) for found in self.slices)
        raise ConfigurationError(f"no example has {self.key} = {name!r}; there are: {known}")

    def to_json(self) -> list[dict[str, Any]]:
        """Return a row for each slice as JSON data."""
        return [
            {self.key: one.name, "n": one.n, "mean": one.mean, "low": one.interval.low, "high": one.interval.high}
            for one in self.slices
        ]

    def __str__(self) -> str:
        with foreign_code():
            from tabulate import tabulate  # only when a table is asked for

        rows = [
            (one.name, one.n, f"{one.mean:.3f}", f"{one.interval.low:.3f} to {one.interval.high:.3f}", one.errors)
            for one in self.slices
        ]
        return tabulate(rows, (self.key, "n", "mean", "95 % interval", "errors"), tablefmt="presto")


def slices_by(examples: Sequence[ExampleResult], key: str | Callable[[Any], Any]) -> Slices:
    """Return the slices of examples by a field, or by what a function returns for each.

    A collection is a set of tags: its example is in the slice of each.

    Raises:
        ConfigurationError: No example has the field.
    """
    if isinstance(key, str) and not any(key in one.example for one in examples if isinstance(one.example, Record)):
        known = dict.fromkeys(name for one in examples if isinstance(one.example, Record) for name in one.example)
        raise ConfigurationError(f"no example has the field {key!r}; there are: {', '.join(known) or 'none'}")
    groups: dict[str, list[ExampleResult]] = {}
    for one in examples:
        value = key(one.example) if callable(key) else _field(one.example, key)
        tags = value if isinstance(value, list | tuple | set | frozenset) else (value,)
        for name in dict.fromkeys(map(_name, tags)):
            groups.setdefault(name, []).append(one)
    shown = key if isinstance(key, str) else getattr(key, "__name__", "function")
    return Slices(shown, tuple(_slice(name, groups[name]) for name in sorted(groups, key=_order)))


def _slice(name: str, examples: Sequence[ExampleResult]) -> Slice:
    mean = sum(one.mean for one in examples) / len(examples)
    interval = clustered_interval([one.scores for one in examples])
    return Slice(name, len(examples), mean, interval, sum(len(one.errors) for one in examples))


def _field(example: Any, name: str) -> Any:
    return example.get(name, _MISSING) if isinstance(example, Record) else _MISSING


def _name(value: Any) -> str:
    plain = plainest(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, sort_keys=True)


def _order(name: str) -> tuple[int, float, str]:
    """Order numbers by size, and before texts."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
