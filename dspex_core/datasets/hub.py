"""Datasets of Hugging Face's library: saved ones, and those of the hub. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core.errors import DatasetError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.plain.display import error_text

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = "hf:"
_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
INSTALL = "pip install 'pytest-dspex[datasets]'"


def hub_name(source: str) -> str | None:
    """Return the name on the hub that a text says it is, `hf:name`, or that it can only be: `org/name`.

    It is a path where there is such a file, or a folder with the first name.
    """
    if source.startswith(_PREFIX):
        return source.removeprefix(_PREFIX).removeprefix("//")
    path = Path(source)
    is_name = _NAME.fullmatch(source) is not None and not path.exists() and not path.parent.exists()
    return source if is_name else None


def from_hub(name: str, *args: Any, **options: Any) -> Any:
    """Return what Hugging Face's `load_dataset` returns; it may use the network.

    Raises:
        DatasetError: The library is not there, or cannot read the dataset.
    """
    try:
        with foreign_code():
            from datasets import load_dataset  # optional, and heavy
    except ImportError as error:
        message = f"{name!r} is not a file here; to read the dataset of this name on the Hugging Face hub, {INSTALL}"
        raise DatasetError(message) from error
    return _read(lambda: load_dataset(name, *args, **options), name)


def is_saved(folder: Path) -> bool:
    """Whether a folder was written by the library's `save_to_disk`."""
    return any((folder / name).exists() for name in ("dataset_dict.json", "dataset_info.json"))


def saved(folder: Path) -> Any:
    """Return a saved dataset.

    Raises:
        DatasetError: The library is not there, or cannot read the dataset.
    """
    try:
        with foreign_code():
            from datasets import load_from_disk  # optional, and heavy
    except ImportError as error:
        raise DatasetError(f"was saved by the library `datasets`: {INSTALL}", path=str(folder)) from error
    return _read(lambda: load_from_disk(str(folder)), str(folder))


def _read(load: Callable[[], Any], name: str) -> Any:
    try:
        with foreign_code():
            return load()
    except Exception as error:  # the library raises all kinds: for a missing name, a network that is down, ...
        raise DatasetError(f"`datasets` cannot read {name!r}: {error_text(error)}") from error
