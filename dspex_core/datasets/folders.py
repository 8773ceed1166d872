"""The dataset files of a folder, and the splits that they are. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from dspex_core.datasets.formats import KNOWN, READERS, suffix_of
from dspex_core.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPLITS = frozenset(
    {"train", "training", "test", "testing", "dev", "val", "valid", "validation", "eval", "evaluation", "holdout"}
)
_SHARD = re.compile(r"[-_.]\d[\w-]*$")  # of a name such as `train-00000-of-00004`
_DESCRIPTIONS = frozenset({"dataset_info", "dataset_infos", "state"})  # what Hugging Face's library writes beside data


def files_of(folder: Path, split: str | None) -> tuple[list[Path], bool]:
    """Return the files of a folder in order, those in folders of it included; and whether they are the asked split.

    A split is the file of that name (`test.jsonl`), its parts (`test-00000-of-00002.parquet`), or all files of the
    folder of that name. Files and folders whose names begin with a dot or an underscore do not count.

    Raises:
        DatasetError: There are no files, or it is not clear which to read.
    """
    files = _dataset_files(folder)
    if not files:
        raise DatasetError(f"is a folder without a dataset; {KNOWN}", path=str(folder))
    chosen = files if split is None else [file for file in files if split in _names(file, folder)]
    named = {_split_of(file, folder) for file in files}
    if (split is None and len(named) > 1) or (not chosen and named != {None}):
        splits = dict.fromkeys(_split_of(file, folder) or _stem(file) for file in files)
        raise DatasetError(no_split(split, splits), path=str(folder))
    _refuse_twins(chosen, folder)
    return chosen or files, bool(chosen) and (split is not None or named != {None})


def no_split(split: str | None, names: Iterable[object]) -> str:
    """Return the message for a split that is not there, or not given where there are several."""
    known = ", ".join(map(repr, map(str, names)))
    if split is None:
        return f"has several splits, {known}; choose one: split=..."
    return f"has no split {split!r}; it has: {known or 'none'}"


def _dataset_files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for place, folders, names in os.walk(folder, onerror=_unreadable):
        folders[:] = [name for name in folders if name[0] not in "._"]
        found += [Path(place, name) for name in names if name[0] not in "._" and suffix_of(name) in READERS]
    return sorted((file for file in found if _stem(file) not in _DESCRIPTIONS), key=_order)


def _unreadable(error: OSError) -> None:
    raise DatasetError(f"cannot be read: {error.strerror}", path=str(error.filename)) from error


def _order(file: Path) -> list[tuple[str, int]]:
    """Order names as people do: `part-2` before `part-10`."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d*)", file.as_posix())]


def _stem(file: Path) -> str:
    return file.name.partition(".")[0]


def _names(file: Path, folder: Path) -> set[str]:
    stem = _stem(file)
    return {stem, _SHARD.sub("", stem), *file.relative_to(folder).parts[:-1]}


def _split_of(file: Path, folder: Path) -> str | None:
    return next((name for name in sorted(_names(file, folder)) if name.lower() in _SPLITS), None)


def _refuse_twins(files: list[Path], folder: Path) -> None:
    twice = [file for file, count in Counter(file.with_name(_stem(file)) for file in files).items() if count > 1]
    if twice:
        twins = " and ".join(str(file.relative_to(folder)) for file in files if file.with_name(_stem(file)) == twice[0])
        message = f"has {twins}, which may be the same rows twice: remove one of them, or name the file to read"
        raise DatasetError(message, path=str(folder))
