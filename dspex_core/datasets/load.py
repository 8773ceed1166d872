"""Examples from files, with stable ids. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.formats import READERS
from dspex_core.errors import DatasetError
from dspex_core.example import Example

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence


def load_dataset(path: str | os.PathLike[str], *, inputs: Iterable[str] | None = None) -> list[Example]:
    """Read the examples of a file in UTF-8: `.jsonl`, `.json`, `.csv`, `.ndjson` or `.tsv`, each also with `.gz`.

    Every example has an id: its field `id`, or else `row-<n>`, counting rows from 1. A `.json` file holds a list of
    objects, alone or as `{"data": [...]}`. NaN, which tables write for an empty cell, is read as `None`. The values of
    tables are texts; rows without any text are left out, and so is a first column without a name, which numbers rows.

    Args:
        path: The file; its suffix says the format.
        inputs: The fields that are inputs, which every row must have.

    Raises:
        DatasetError: The file cannot be used; the message says where and why.
    """
    source = str(path)
    name = source.lower()
    packed = name.endswith(".gz")
    read = READERS.get(Path(name.removesuffix(".gz")).suffix)
    if read is None:
        message = f"is of no known format; a dataset's name ends in {', '.join(READERS)}, each also with .gz"
        raise DatasetError(message, path=source)
    wanted = (inputs,) if isinstance(inputs, str) else tuple(inputs or ())
    examples: list[Example] = []
    places: dict[str, str] = {}
    for number, (line, row) in enumerate(read(_text(source, packed=packed), source), 1):
        example = _example(row, number=number, inputs=wanted, path=source, line=line)
        place = f"row {number}" if line is None else f"line {line}"
        first = places.setdefault(str(example.id), place)
        if first != place:
            message = f"{place} has the id {example.id!r} of {first}; ids must differ"
            raise DatasetError(message, path=source, line=line)
        examples.append(example)
    if not examples:
        message = "has no rows"
        raise DatasetError(message, path=source)
    return examples


def _text(path: str, *, packed: bool) -> str:
    try:
        content = Path(path).read_bytes()
        if packed:
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"is not a whole gzip file: {error}", path=path) from error
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise DatasetError(message, path=path) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 (byte 0x{content[error.start]:02x}); save it as UTF-8"
        raise DatasetError(message, path=path, line=content.count(b"\n", 0, error.start) + 1) from error


def _example(row: Any, *, number: int, inputs: Sequence[str], path: str, line: int | None) -> Example:
    if not isinstance(row, dict):
        message = f"row {number} is not an object of named fields but {row!r}"
        raise DatasetError(message, path=path, line=line)
    missing = [name for name in inputs if name not in row]
    if missing:
        message = f"row {number} lacks the input {missing[0]!r}; it has: {', '.join(map(repr, row)) or 'none'}"
        raise DatasetError(message, path=path, line=line)
    if row.get("id", number) in (None, ""):
        message = f"row {number} has an empty id: give it one, or leave the field out"
        raise DatasetError(message, path=path, line=line)
    example = Example(row).with_id(f"row-{number}")
    return example.with_inputs(*inputs) if inputs else example
