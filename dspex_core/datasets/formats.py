"""The formats of dataset files: a text becomes rows, each with the line where it starts. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from dspex_core.datasets.yaml_rows import yaml_rows
from dspex_core.errors import DatasetError

Rows = Iterator[tuple[int | None, Any]]  # the line where a row starts, when known, and the row

_DELIMITERS = ",;\t|"
_LONGEST_CELL = 2**31 - 1  # what the csv module takes on every system
_QUOTED_AFTER_SPACE = re.compile(r'[,;|][ \t]+"')


def _jsonl_rows(text: str, path: str) -> Rows:
    for line, row in enumerate(text.split("\n"), 1):  # not splitlines, which breaks rows at U+2028
        if row.strip():
            yield line, _parsed(row, path, first_line=line)


def _json_rows(text: str, path: str) -> Rows:
    rows = _parsed(text, path) if text.strip() else []
    if isinstance(rows, dict) and isinstance(rows.get("data"), list):
        rows = rows["data"]
    if not isinstance(rows, list):
        message = f"needs a list of objects, not {type(rows).__name__}"
        raise DatasetError(message, path=path)
    return ((None, row) for row in rows)


def _parsed(text: str, path: str, *, first_line: int | None = None) -> Any:
    try:
        return json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        message = f"is not JSON: {error.msg} (column {error.colno})"
        raise DatasetError(message, path=path, line=(first_line or 1) + error.lineno - 1) from error
    except ValueError as error:
        raise DatasetError(str(error), path=path, line=first_line) from error
    except RecursionError as error:
        raise DatasetError("is nested too deeply", path=path, line=first_line) from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
        raise ValueError(f"has an object with the key {twice[0]!r} more than once; keep one of them")
    return found


def _constant(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"has the number {name}, which JSON does not have: write null, a finite number or a text")


def _number(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"has the number {text:.40}, which is too large")
    return number


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise ValueError(f"has a number of {len(text)} digits, which is too long: write it as a text") from error


def _table_rows(text: str, path: str, *, delimiter: str | None) -> Rows:
    separator = delimiter or _delimiter(text)
    spaced = bool(re.search(rf"{re.escape(separator)}[ ]", text.lstrip("\r\n").partition("\n")[0]))
    try:
        return iter(_table(text, path, separator, spaced=spaced))
    except DatasetError:
        if spaced or not _QUOTED_AFTER_SPACE.search(text):
            raise
        return iter(_table(text, path, separator, spaced=True))


def _delimiter(text: str) -> str:
    """Return what parts the names in the header: the comma, unless another occurs there and the comma does not."""
    header = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])
    found = [each for each in _DELIMITERS if each in header]
    return found[0] if found else ","


def _table(text: str, path: str, delimiter: str, *, spaced: bool) -> list[tuple[int | None, Any]]:
    """Return all rows.

    Args:
        text: The table.
        path: Its file, for messages.
        delimiter: The character between cells.
        spaced: Whether a space after the delimiter belongs to it.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=spaced, strict=True)
    before = csv.field_size_limit(_LONGEST_CELL)  # of the whole process: put back at the end
    header: list[str] = []
    rows: list[tuple[int | None, Any]] = []
    line = 1
    try:
        for cells in reader:
            if header and (any(cells) or len(cells) == len(header) == 1):
                rows.append((line, _row(header, cells, path=path, line=line)))
            elif cells and not header:
                header = _header(cells, path=path, line=line)
            line = reader.line_num + 1
    except csv.Error as error:
        message = f"is not CSV: {error}"
        raise DatasetError(message, path=path, line=line) from error
    finally:
        csv.field_size_limit(before)
    return rows


def _header(cells: list[str], *, path: str, line: int) -> list[str]:
    names = [cell.strip() for cell in cells]
    numbered = len(names) > 1 and not names[0]  # by pandas, which writes its index so
    if not all(names[numbered:]) or len(set(names)) < len(names):
        message = f"needs a header of different names, not {cells!r}"
        raise DatasetError(message, path=path, line=line)
    return names


def _row(header: list[str], cells: list[str], *, path: str, line: int) -> dict[str, str]:
    if len(cells) != len(header):
        message = f"has {len(cells)} cells where the header has {len(header)}: quote cells that hold a comma"
        raise DatasetError(message, path=path, line=line)
    return {name: cell for name, cell in zip(header, cells, strict=True) if name}


READERS: Mapping[str, Callable[[str, str], Rows]] = {
    ".jsonl": _jsonl_rows,
    ".json": _json_rows,
    ".csv": partial(_table_rows, delimiter=None),
    ".ndjson": _jsonl_rows,
    ".tsv": partial(_table_rows, delimiter="\t"),
    ".yaml": yaml_rows,
    ".yml": yaml_rows,
}


def reader_of(suffix: str, *, delimiter: str | None) -> Callable[[str, str], Rows] | None:
    """Return what reads files with this suffix, or `None`; `delimiter` is what parts the cells of a table.

    Raises:
        DatasetError: The delimiter is not one character, or the file is not a table.
    """
    if delimiter is None:
        return READERS.get(suffix)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise DatasetError(f'the delimiter must be one character, such as ";" or "|", not {delimiter!r}')
    if suffix in {".json", ".jsonl", ".ndjson", ".yaml", ".yml"}:
        raise DatasetError(f"a {suffix} file has no delimiter: leave delimiter={delimiter!r} out")
    return partial(_table_rows, delimiter=delimiter)  # whatever the file is called
