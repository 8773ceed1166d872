"""Where a row stands, for messages. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dspex_core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SHOWN = 50  # faults in a message; the places of all others are in it, too


class Place(NamedTuple):
    """The place of a row: its number in its file or list, which counts from 1, and its line, where that is known."""

    number: int
    line: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        return f"row {self.number}" if self.line is None else f"line {self.line}"

    def error(self, fault: str) -> DatasetError:
        """Return the error of the row here; `fault` says which row it is."""
        return DatasetError(fault, path=self.path, line=self.line)

    def named(self, error: DatasetError) -> DatasetError:
        """Return an error of the row here, with the row's number: a line may hold many rows, and a row many lines."""
        line = self.line if error.line is None else error.line
        return DatasetError(f"row {self.number} {error.reason}", path=self.path, line=line)


def placed(rows: Iterable[tuple[int | None, Any]], path: str | None = None) -> Iterator[tuple[Place, Any]]:
    """Return rows with their places, from rows with their lines."""
    return ((Place(number, line, path), row) for number, (line, row) in enumerate(rows, 1))


def one_error(faults: Sequence[tuple[Place | None, DatasetError]], path: str | None) -> DatasetError:
    """Return one error for all rows that are at fault."""
    if len(faults) == 1:
        return faults[0][1]
    problems = [str(error) for _, error in faults]
    listed = "".join(f"\n  - {problem}" for problem in problems[:_SHOWN])
    rest = [place for place, _ in faults[_SHOWN:] if place is not None]
    more = f"\n  - and {len(rest)} more: {_ranges(rest)}" if rest else ""
    line = next((error.line for _, error in faults if error.line is not None), None)
    message = f"{'' if path else 'the dataset '}has {len(faults)} rows that cannot be used:{listed}{more}"
    return DatasetError(message, path=path, line=line, problems=problems)


def _ranges(places: Sequence[Place]) -> str:
    """Return the places of rows in few words: `lines 3, 5-9`."""
    numbers = sorted({place.number if place.line is None else place.line for place in places})
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    kind = "rows" if places[0].line is None else "lines"
    return f"{kind} {', '.join(str(low) if low == high else f'{low}-{high}' for low, high in runs)}"
