"""Where rows come from: files, folders, tables in memory, the Hugging Face hub, iterables. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dspex_core.datasets import hub
from dspex_core.datasets.cells import row_of
from dspex_core.datasets.folders import files_of, no_split
from dspex_core.datasets.formats import KNOWN, reader_of
from dspex_core.datasets.places import Place, placed
from dspex_core.errors import DatasetError
from dspex_core.plain.display import error_text, value_text

Source = str | os.PathLike[str] | Iterable[Any] | Callable[[], Any]

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Found:
    """Rows with their places; a row that cannot be read is a `DatasetError` in its place.

    `path` is that of their file or folder, `is_split` whether the source itself has taken the asked split, and
    `is_made` whether the rows are objects of the user's own, which may hold anything.
    """

    rows: Iterator[tuple[Place, Any]]
    path: str | None
    is_split: bool = False
    is_made: bool = False


def find(source: Source, *, split: str | None, delimiter: str | None, is_stream: bool = False) -> Found:
    """Return the rows of a source, read while they are taken.

    Args:
        source: As for `load_dataset`.
        split: The split to read.
        delimiter: What parts the cells of a table.
        is_stream: Whether a dataset of the hub is read while it is downloaded.

    Raises:
        DatasetError: The source is not one, or cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        name = os.fspath(source)
        on_hub = hub.hub_name(name) if isinstance(source, str) and delimiter is None else None
        if on_hub and reader_of(name, delimiter=None) is None:
            options = {"streaming": True} if is_stream else {}
            found = _of_library(hub.from_hub(on_hub, split=split, **options), on_hub, split)
            return replace(found, is_split=True)
        is_folder = os.path.isdir(name)  # noqa: PTH112  `Path` raises for a name that is too long
        return _folder(Path(name), split, delimiter) if is_folder else _file(name, delimiter)
    if delimiter is not None:
        raise DatasetError(f"delimiter={delimiter!r} is for tables in files: leave it out")
    if isinstance(source, Mapping):
        return _chosen(source, split)
    return Found(_unread(_in_memory(source)), None, is_made=True)


def _file(name: str, delimiter: str | None) -> Found:
    read = reader_of(name, delimiter=delimiter)
    if read is None:
        is_there = "" if os.path.lexists(name) else "does not exist, and its name "
        raise DatasetError(f"{is_there}is of no known format; {KNOWN}", path=name)
    return Found(placed(read(name), name), name)


def _folder(path: Path, split: str | None, delimiter: str | None) -> Found:
    if hub.is_saved(path):
        return _of_library(hub.saved(path), str(path), split)
    files, is_split = files_of(path, split)
    rows = (row for file in files for row in _file(str(file), delimiter).rows)
    return Found(rows, str(files[0] if len(files) == 1 else path), is_split=is_split)


def _chosen(splits: Mapping[Any, Any], split: str | None) -> Found:
    """Return the rows of one of several named sets, as a `DatasetDict` is."""
    sets = {str(name): rows for name, rows in splits.items()}
    if any(isinstance(rows, str) or not isinstance(rows, Iterable) for rows in sets.values()):
        raise DatasetError(f"a dataset is a list of rows, not one row: write [{value_text(dict(splits), 200)}]")
    if not sets:
        raise DatasetError("the dataset has no rows")
    if split is None and len(sets) == 1:
        split = next(iter(sets))
    if split not in sets:
        raise DatasetError(f"the dataset {no_split(split, sets)}")
    return Found(_unread(_in_memory(sets[split])), None, is_split=True, is_made=True)


def _of_library(found: Any, name: str, split: str | None) -> Found:
    """Return the rows of a dataset of Hugging Face's library, or of a dict of them."""
    if isinstance(found, Mapping):
        return replace(_chosen(found, split), path=name)
    return Found(_unread(map(row_of, found), path=name), name)


def _in_memory(source: Any) -> Iterable[Any]:
    """Return the rows of a table, an iterable, or of what a function returns."""
    if callable(source) and not isinstance(source, Iterable):
        made = _called(source)
        if made is None or (callable(made) and not isinstance(made, Iterable)):
            name = getattr(source, "__qualname__", repr(source))
            raise DatasetError(
                f"the function of a dataset must return its rows; {name} returned {value_text(made, 200)}"
            )
        source = made
    if hasattr(source, "columns"):
        for method, arguments in _TABLES.items():  # of pandas, polars or pyarrow, which are not loaded
            if hasattr(source, method):
                return _table(source, method, arguments)
    if isinstance(source, str | bytes | Mapping) or not isinstance(source, Iterable):
        known = "a dataset is a path, a list of rows, a DataFrame, or a function that returns one"
        raise DatasetError(f"{known}, not {value_text(source, 200)}")
    return source


def _called(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except DatasetError:
        raise
    except Exception as error:  # the function is the user's
        name = getattr(function, "__qualname__", repr(function))
        raise DatasetError(f"the function {name} of a dataset raised {error_text(error)}") from error


_TABLES: Mapping[str, Mapping[str, Any]] = {"to_dicts": {}, "to_pylist": {}, "to_dict": {"orient": "records"}}


def _table(table: Any, method: str, arguments: Mapping[str, Any]) -> Iterator[Any]:
    index = getattr(table, "index", None)
    if any(name is not None for name in getattr(index, "names", ())):
        table = table.reset_index()  # an index with a name is a column, perhaps that of the ids
    names = getattr(table, "column_names", table.columns)  # pyarrow's columns are their values
    twice = [name for name, count in Counter(map(str, names)).items() if count > 1]
    if twice:
        raise DatasetError(f"the table has two columns with the name {twice[0]!r}: rename one of them")
    for part in _parts(table):
        for row in getattr(part, method)(**arguments):
            try:
                yield row_of(row)
            except ValueError as error:
                yield DatasetError(str(error))


def _parts(table: Any) -> Iterator[Any]:
    """Return some rows of a table at a time, so that not all of them are copied at once."""
    rows = getattr(table, "iloc", None)
    if rows is not None:
        return (rows[start : start + _BATCH] for start in range(0, len(table), _BATCH))
    slices = getattr(table, "iter_slices", None) or getattr(table, "to_batches", None)
    return iter(slices(_BATCH)) if callable(slices) else iter((table,))


def _unread(rows: Iterable[Any], *, path: str | None = None) -> Iterator[tuple[Place, Any]]:
    """Return rows with their places. An error of what makes them is one that says after which row."""
    number = 0
    try:
        for number, row in enumerate(rows, 1):
            yield Place(number, None, path), row
    except DatasetError:
        raise
    except Exception as error:  # the rows are made by the user's code
        after = f"after row {number}" if number else "before the first row"
        message = f"the rows end {after} with an error: {error_text(error)}"
        raise DatasetError(message, path=path) from error
