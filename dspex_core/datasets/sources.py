"""Where rows come from: files, folders, tables in memory, the Hugging Face hub, iterables. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dspex_core.datasets.formats import READERS, Rows, reader_of
from dspex_core.errors import DatasetError
from dspex_core.errors.foreign_code import foreign_code

Source = str | os.PathLike[str] | Iterable[Any] | Callable[[], Any]

_HUB = "hf:"
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_FORMATS = f"a dataset's name ends in {', '.join(READERS)}, each also with .gz"


@dataclass(frozen=True, slots=True)
class Found:
    """Rows, each with its line where it has one.

    `path` is that of their file, and `is_split` whether the source itself has taken the asked split.
    """

    rows: Rows
    path: str | None
    is_split: bool = False


def find(source: Source, *, split: str | None, delimiter: str | None) -> Found:
    """Return the rows of a source, read while they are taken.

    Raises:
        DatasetError: The source is not one, or cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        return _named(os.fspath(source), split=split, delimiter=delimiter, is_text=isinstance(source, str))
    if delimiter is not None:
        raise DatasetError(f"delimiter={delimiter!r} is for tables in files: leave it out")
    if isinstance(source, Mapping):
        return _chosen(source, split)
    return Found(((None, row) for row in _in_memory(source)), None)


def _named(name: str, *, split: str | None, delimiter: str | None, is_text: bool) -> Found:
    if name.startswith(_HUB):
        return _from_hub(name.removeprefix(_HUB).removeprefix("//"), split)
    path = Path(name)
    if path.is_dir() and _suffix(name) not in READERS:
        return _folder(path, split, delimiter)
    read = reader_of(_suffix(name), delimiter=delimiter)
    if read is None and is_text and not path.exists() and _HUB_NAME.fullmatch(name):
        return _from_hub(name, split)
    if read is None:
        raise DatasetError(f"is of no known format; {_FORMATS}", path=name)
    return Found(read(_text(name), name), name)


def _suffix(name: str) -> str:
    return Path(name.lower().removesuffix(".gz")).suffix


def _text(path: str) -> str:
    try:
        content = Path(path).read_bytes()
        if path.lower().endswith(".gz"):
            content = gzip.decompress(content)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"is not a whole gzip file: {error}", path=path) from error
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", path=path) from error
    except ValueError as error:  # a zero byte in the name
        raise DatasetError(f"the path {path!r} cannot be used: {error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 (byte 0x{content[error.start]:02x}); save it as UTF-8"
        raise DatasetError(message, path=path, line=content.count(b"\n", 0, error.start) + 1) from error


def _folder(path: Path, split: str | None, delimiter: str | None) -> Found:
    """Return the rows of a folder's one dataset, or of the file that is called as the split."""
    if (path / "dataset_dict.json").exists() or (path / "dataset_info.json").exists():
        return _saved(path, split)
    files = {file.name.partition(".")[0]: file for file in sorted(path.iterdir()) if _suffix(file.name) in READERS}
    if split in files:
        return _file(files[split], delimiter)
    if len(files) == 1 and split is None:
        return _file(next(iter(files.values())), delimiter)
    if not files:
        raise DatasetError(f"is a folder without a dataset; {_FORMATS}", path=str(path))
    raise DatasetError(_no_split(split, files), path=str(path))


def _file(path: Path, delimiter: str | None) -> Found:
    found = _named(str(path), split=None, delimiter=delimiter, is_text=False)
    return Found(found.rows, found.path, is_split=True)


def _no_split(split: str | None, names: Iterable[str]) -> str:
    known = ", ".join(map(repr, map(str, names)))
    if split is None:
        return f"has several splits, {known}; choose one: split=..."
    return f"has no split {split!r}; it has: {known or 'none'}"


def _chosen(splits: Mapping[Any, Any], split: str | None) -> Found:
    """Return the rows of one of several named sets, as a `DatasetDict` is."""
    sets = {str(name): rows for name, rows in splits.items()}
    if any(isinstance(rows, str) or not isinstance(rows, Iterable) for rows in sets.values()):
        raise DatasetError(f"a dataset is a list of rows, not one row: write [{dict(splits)!r:.200}]")
    if split is None and len(sets) == 1:
        split = next(iter(sets))
    if split not in sets:
        raise DatasetError(f"the dataset {_no_split(split, sets)}")
    return Found(((None, row) for row in _in_memory(sets[split])), None, is_split=True)


def _from_hub(name: str, split: str | None) -> Found:
    try:
        with foreign_code():
            from datasets import load_dataset  # optional, and heavy
    except ImportError as error:
        message = (
            f"the file {name!r} does not exist; if it is the name of a dataset on the Hugging Face hub, install the "
            "library that reads it: pip install datasets"
        )
        raise DatasetError(message) from error
    found = _read(lambda: load_dataset(name, split=split), name, split)
    return replace(found, is_split=True)


def _saved(path: Path, split: str | None) -> Found:
    try:
        with foreign_code():
            from datasets import load_from_disk  # optional, and heavy
    except ImportError as error:
        raise DatasetError("was saved by the library `datasets`: pip install datasets", path=str(path)) from error
    return _read(lambda: load_from_disk(str(path)), str(path), split)


def _read(load: Callable[[], Any], name: str, split: str | None) -> Found:
    try:
        found = load()
    except Exception as error:  # the library raises all kinds: for a missing name, a network that is down, ...
        raise DatasetError(f"`datasets` cannot read {name!r}: {type(error).__name__}: {error}") from error
    if isinstance(found, Mapping):
        chosen = _chosen(found, split)
        return Found(chosen.rows, name, is_split=True)
    return Found(((None, row) for row in found), name)


def _in_memory(source: Any) -> Iterator[Any]:
    """Return the rows of a table, an iterable, or of what a function returns."""
    if callable(source) and not isinstance(source, Iterable):
        source = source()
        if callable(source) and not isinstance(source, Iterable):
            raise DatasetError(f"the function of a dataset must return its rows, not {source!r:.200}")
    for method, arguments in _TABLES.items():
        if hasattr(source, "columns") and hasattr(source, method):  # of pandas, polars or pyarrow, which are not loaded
            return map(_row, getattr(source, method)(**arguments))
    if isinstance(source, str | bytes | Mapping) or not isinstance(source, Iterable):
        raise DatasetError(
            f"a dataset is a path, a list of rows, a DataFrame, or a function that returns one, not {source!r:.200}"
        )
    return iter(source)


_TABLES: Mapping[str, Mapping[str, Any]] = {"to_dicts": {}, "to_pylist": {}, "to_dict": {"orient": "records"}}


def _row(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a table's row by the columns' names; what is missing is `None`."""
    return {str(name): _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    if type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and value != value):  # noqa: PLR0124
        return None
    convert = getattr(value, "tolist", None)  # of NumPy's values and arrays
    return convert() if callable(convert) else value
