"""Iterators as datasets: their rows can be read once. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dspex_core.errors import ConfigurationError


class ReadOnce:
    """The rows of an iterator, which are read as they are needed.

    Args:
        rows: The iterator.
        remembers: Whether the rows are kept for another evaluation.
    """

    def __init__(self, rows: Iterator[Any], *, remembers: bool) -> None:
        self._rows = rows
        self._remembers = remembers
        self._read: list[Any] = []
        self._is_begun = False

    def __iter__(self) -> Iterator[Any]:
        if self._is_begun and not self._remembers:
            raise ConfigurationError(
                "the devset is an iterator whose rows have been read and were not kept: "
                "pass a list, or a function that returns a new iterator"
            )
        self._is_begun = True
        return self._each()

    def _each(self) -> Iterator[Any]:
        yield from self._read
        for row in self._rows:
            if self._remembers:
                self._read.append(row)
            yield row


def lazily(devset: Any, *, remembers: bool) -> Any:
    """Return a devset that can be used again, if it is an iterator."""
    return ReadOnce(devset, remembers=remembers) if isinstance(devset, Iterator) else devset
