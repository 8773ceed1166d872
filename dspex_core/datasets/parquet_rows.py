"""Rows of Parquet files. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import io
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.cells import row_of
from dspex_core.datasets.files import is_compressed, open_bytes
from dspex_core.errors import DatasetError
from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH = 1024
_INDEX = re.compile(r"__index_level_\d+__")  # a column in which pandas keeps an index without a name


def parquet_rows(path: str) -> Iterator[tuple[int | None, Any]]:
    """Return the rows, read some at a time; dates, decimals and structures are Python's own.

    Raises:
        DatasetError: The file cannot be read, or pyarrow is not there.
    """
    try:
        with foreign_code():
            from pyarrow import ArrowException, parquet  # optional, and heavy
    except ImportError as error:
        fix = "Parquet needs the library pyarrow: pip install 'pytest-dspex[parquet]'"
        raise DatasetError(f"cannot be read: {fix}", path=path) from error
    with ExitStack() as stack:
        file: Any = stack.enter_context(open_bytes(path))
        file = io.BytesIO(file.read()) if is_compressed(path) else file  # it is read from the end
        if not file.peek(1) if hasattr(file, "peek") else not file.getbuffer():
            return
        try:
            table = parquet.ParquetFile(file)
            columns = _columns(table.schema_arrow.names, path)
            for batch in table.iter_batches(batch_size=_BATCH, columns=columns):
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    yield None, _row(row, path)
        except (ArrowException, OSError, KeyError, ValueError, OverflowError) as error:
            if isinstance(error, DatasetError):
                raise
            raise DatasetError(f"is not a whole Parquet file that can be read: {error}", path=path) from error


def _columns(names: list[str], path: str) -> list[str]:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DatasetError(f"has two columns with the name {twice!r}: rename one of them", path=path)
    return [name for name in names if not _INDEX.fullmatch(name)]


def _row(row: dict[str, Any], path: str) -> Any:
    try:
        return row_of(row)
    except ValueError as error:
        return DatasetError(str(error), path=path)
