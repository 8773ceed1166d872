"""Which labels were predicted for which. PYTEST_DONT_REWRITE

Pure Python, since the plugin's reports draw these matrices: scikit-learn takes a second to import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import value_text
from dspex_core.metrics.comparison import as_text, is_missing
from dspex_core.plain.text import normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """The cases by their expected and their predicted label.

    Args:
        expected: The labels of the rows, sorted.
        predicted: The labels of the columns: those of the rows in the same order, then the others.
        cells: The cases of each row and column, by the places or the keys that they were given by.
    """

    expected: tuple[str, ...]
    predicted: tuple[str, ...]
    cells: tuple[tuple[tuple[Any, ...], ...], ...]

    @property
    def counts(self) -> list[list[int]]:
        """How many cases each row and column has."""
        return [[len(cell) for cell in row] for row in self.cells]


def confusion_matrix(pairs: Mapping[Any, tuple[str, str]]) -> ConfusionMatrix:
    """Return the matrix of cases, each with its expected and its predicted label, by their keys."""
    expected = sorted({pair[0] for pair in pairs.values()})
    predicted = [*expected, *sorted({pair[1] for pair in pairs.values()} - set(expected))]
    rows, columns = ({label: place for place, label in enumerate(labels)} for labels in (expected, predicted))
    cells: list[list[list[Any]]] = [[[] for _ in predicted] for _ in expected]
    for key, (row, column) in pairs.items():
        cells[rows[row]][columns[column]].append(key)
    return ConfusionMatrix(tuple(expected), tuple(predicted), tuple(tuple(map(tuple, row)) for row in cells))


def labels_of(pairs: Iterable[tuple[Any, Any]]) -> list[tuple[str, str]]:
    """Return pairs of values as labels. Values that `exact_match` takes for the same text are one label."""
    known: dict[str, str] = {}
    return [(_label(expected, known), _label(predicted, known)) for expected, predicted in pairs]


def _label(value: Any, known: dict[str, str]) -> str:
    try:
        text = "null" if is_missing(value) else as_text(value)
    except RecursionError:
        raise ConfigurationError(f"{value_text(value, 200)} is no label") from None
    return known.setdefault(normalized(text), text)


def shown_matrix(matrix: ConfusionMatrix) -> Sequence[str]:
    """Return the lines of a table with the expected labels in rows."""
    rows = [["", *matrix.predicted]]
    rows += [[label, *map(str, counts)] for label, counts in zip(matrix.expected, matrix.counts, strict=True)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
