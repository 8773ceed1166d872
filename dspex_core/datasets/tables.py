"""Rows of tables in text: comma-separated values and the like, as pandas, spreadsheets and exporters write them.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.datasets.files import open_text
from dspex_core.datasets.names import composed_name
from dspex_core.errors import DatasetError
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_DELIMITERS = ",;\t|"
_LONGEST_CELL = 2**31 - 1  # what the csv module takes on every system
_BATCH = 500
_SAMPLE = 2**18  # characters in which the layout is looked for
_MOST_LINES = 200
_HINT = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # Excel's own first line


@dataclass(frozen=True, slots=True)
class _Layout:
    delimiter: str
    is_spaced: bool = False  # a space after the delimiter belongs to it
    is_quoted: bool = True
    skipped: int = 0  # lines before the header

    def reader(self, lines: Any) -> Any:
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.is_quoted else csv.QUOTE_NONE
        return csv.reader(
            lines, delimiter=self.delimiter, skipinitialspace=self.is_spaced, quoting=quoting, strict=True
        )


def table_rows(
    path: str, *, delimiter: str | None = None, likely: str = _DELIMITERS
) -> Iterator[tuple[int | None, Any]]:
    """Return a table's rows by the names in its header; a row that cannot be read is a `DatasetError`.

    Args:
        path: The file.
        delimiter: The character between cells; by default it is found.
        likely: The characters that it may be, the likeliest first.

    Raises:
        DatasetError: The file is not a table.
    """
    with open_text(path) as file:
        layout = _layout(file.read(_SAMPLE), delimiter, likely)
    with open_text(path) as file:
        for _ in range(layout.skipped):
            next(file)
        header: _Header | None = None
        for line, cells in _records(layout.reader(file), path, layout.skipped):
            if header is not None:
                if any(cells) or (len(cells) == 1 == len(header.names)):
                    yield line, header.row(cells, line)
            elif cells:
                header = _Header(cells, path, line)


class _Header:
    """The names of a table's columns."""

    def __init__(self, cells: list[str], path: str, line: int) -> None:
        names = [composed_name(cell.strip()) for cell in cells]
        while len(names) > 1 and not names[-1]:  # a spreadsheet's columns without anything
            names.pop()
        numbered = len(names) > 1 and not names[0]  # by pandas, which writes its index so
        if not all(names[numbered:]) or len(set(names)) < len(names):
            raise DatasetError(f"needs a header of different names, not {value_text(cells, 500)}", path=path, line=line)
        self.names, self._path, self._numbered = names, path, numbered

    def row(self, cells: list[str], line: int) -> dict[str, str] | DatasetError:
        names = self.names
        if len(cells) > len(names) and not any(cells[len(names) :]):
            del cells[len(names) :]
        if len(cells) != len(names):
            fault = f"has {len(cells)} cells where the header has {len(names)}: quote cells that hold the delimiter"
            return DatasetError(fault, path=self._path, line=line)
        if cells == names:
            return DatasetError("repeats the header: remove the line", path=self._path, line=line)
        if self._numbered:
            return dict(zip(names[1:], cells[1:], strict=True))
        return dict(zip(names, cells, strict=True))


def _records(reader: Any, path: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Return the cells of each record, with the line where it starts."""
    error: csv.Error | None = None
    batch: list[tuple[int, list[str]]] = [(0, [])]
    line = 1 + skipped
    while batch and error is None:
        batch = []
        before = csv.field_size_limit(_LONGEST_CELL)  # of the whole process: put back before anybody else runs
        try:
            for cells in islice(reader, _BATCH):
                batch.append((line, cells))
                line = 1 + skipped + reader.line_num
        except csv.Error as raised:
            error = raised
        finally:
            csv.field_size_limit(before)
        yield from batch
    if error is not None:
        fix = "a cell that begins with a quote must end with one, and quotes in it are doubled"
        raise DatasetError(f"is not CSV: {error} ({fix})", path=path, line=line) from error


def _layout(sample: str, delimiter: str | None, likely: str) -> _Layout:
    hint = _HINT.match(sample)
    skipped = 1 if hint else 0
    lines = list(io.StringIO(sample, newline=""))[skipped:]
    if len(sample) == _SAMPLE and len(lines) > 1:
        lines.pop()  # it is cut short
    while lines and not lines[0].strip():
        lines.pop(0)
    lines = lines[:_MOST_LINES]
    found = delimiter or (hint[1] if hint else _delimiter(lines, likely))
    plain = _Layout(found, skipped=skipped)
    spaced, bare = replace(plain, is_spaced=True), replace(plain, is_quoted=False)
    if lines and f"{found} " in lines[0]:
        return spaced
    others = [spaced, bare] if found == "\t" else [spaced]  # quotes are plain characters in many tables with tabs
    return next((each for each in (plain, *others) if not _errors(each, lines)), plain)


def _delimiter(lines: list[str], likely: str) -> str:
    """Return what parts the cells: of those that are in the header the one that parts most rows alike.

    Of two that part them as well, it is the one without a space after it, which a text has after a comma.
    """
    header = re.sub(r'"[^"]*"', "", lines[0]) if lines else ""
    found = [each for each in likely if each in header]
    if len(found) < 2:  # noqa: PLR2004
        return found[0] if found else likely[0]
    return min(found, key=lambda each: (_errors(_Layout(each), lines), f"{each} " in header))


def _errors(layout: _Layout, lines: list[str]) -> int:
    """Return how many records of some lines do not have as many cells as the header, or cannot be read."""
    reader = layout.reader(lines)
    wrong, count = 0, 0
    try:
        for cells in reader:
            count = count or len(cells)
            wrong += any(cells) and len(cells) != count
    except csv.Error as error:
        wrong += "unexpected end" not in str(error)  # of the sample
    return wrong
