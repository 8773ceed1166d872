"""The formats of dataset files: what reads a file of a name. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dspex_core.datasets.json_rows import json_rows, jsonl_rows
from dspex_core.datasets.parquet_rows import parquet_rows
from dspex_core.datasets.tables import table_rows
from dspex_core.datasets.yaml_rows import yaml_rows
from dspex_core.errors import DatasetError

# Returns the rows of a file, read while they are taken, each with the line where it starts, when that is known. A row
# that cannot be read is a `DatasetError` in its place, so that the rows after it are read, too.
Reader = Callable[[str], Iterator[tuple[int | None, Any]]]

READERS: Mapping[str, Reader] = {
    ".jsonl": jsonl_rows,
    ".json": json_rows,
    ".csv": table_rows,
    ".ndjson": jsonl_rows,
    ".parquet": parquet_rows,
    ".tsv": partial(table_rows, likely="\t,;|"),
    ".yaml": yaml_rows,
    ".yml": yaml_rows,
}
KNOWN = f"a dataset's name ends in {', '.join(READERS)}, each also with .gz"


def suffix_of(name: str) -> str:
    """Return the ending of a file's name that says its format."""
    return Path(name.lower().removesuffix(".gz")).suffix


def reader_of(name: str, *, delimiter: str | None) -> Reader | None:
    """Return what reads a file, or `None` if no format has its name; `delimiter` is what parts the cells of a table.

    Raises:
        DatasetError: The delimiter is not one character, or the file is not a table.
    """
    suffix = suffix_of(name)
    if delimiter is None:
        return READERS.get(suffix)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise DatasetError(f'the delimiter must be one character, such as ";" or "|", not {delimiter!r}')
    if suffix in READERS and suffix not in {".csv", ".tsv"}:
        raise DatasetError(f"a {suffix} file has no delimiter: leave delimiter={delimiter!r} out")
    return partial(table_rows, delimiter=delimiter)  # whatever the file is called
