"""DSPy's `DataLoader`: lists of examples from files, tables and the Hugging Face hub. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.datasets.cells import row_of
from dspex_core.datasets.dataset import Dataset
from dspex_core.datasets.hub import from_hub
from dspex_core.datasets.places import one_error
from dspex_core.datasets.sources import find
from dspex_core.errors import ConfigurationError, DatasetError
from dspex_core.example import Example
from dspex_core.plain.counts import is_whole
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from os import PathLike

Rows = Sequence[Mapping[str, Any]]

_MISSING = frozenset(  # what pandas takes for an empty cell
    [
        *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
        *("NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
    ]
)
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_TRUTHS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


class DataLoader(Dataset):
    """Reads examples as DSPy's loader does; `load_dataset` also gives them ids and checks them.

    Files are read by our own readers, so only `from_huggingface` needs the library `datasets`. `fields` chooses the
    fields of the examples, by default all, and `input_keys` names their inputs.
    """

    def __init__(self) -> None:
        """Make a loader; it keeps nothing."""

    def from_huggingface(
        self,
        dataset_name: str,
        *args: Any,
        input_keys: tuple[str, ...] = (),
        fields: tuple[str, ...] | None = None,
        **kwargs: Any,
    ) -> dict[str, list[Example]] | list[Example]:
        """Read a dataset with Hugging Face's `load_dataset`, which gets the other arguments; a list for each split.

        Raises:
            ConfigurationError: `fields` or `input_keys` is not a tuple.
            DatasetError: The dataset cannot be read, or has no such field.
        """
        for name, value in (("fields", fields), ("input_keys", input_keys)):
            if value is not None and not isinstance(value, tuple):
                raise ConfigurationError(f"{name}={value!r} must be a tuple of names, such as ('question',)")
        found = from_hub(dataset_name, *args, **kwargs)
        splits = kwargs.get("split")
        if isinstance(found, list) and isinstance(splits, list):
            found = dict(zip(splits, found, strict=True))
        if isinstance(found, Mapping):
            return {str(name): _examples(list(map(row_of, rows)), fields, input_keys) for name, rows in found.items()}
        return _examples(list(map(row_of, found)), fields, input_keys)

    def from_csv(
        self, file_path: str | PathLike[str], fields: Sequence[str] | None = None, input_keys: Sequence[str] = ()
    ) -> list[Example]:
        """Read a table; a column of numbers or truth values becomes such, and an empty cell `None`, as in pandas.

        Raises:
            DatasetError: The file cannot be read, or has no such field.
        """
        return _examples(_typed(_rows(file_path)), fields, input_keys)

    def from_pandas(
        self, df: Any, fields: Sequence[str] | None = None, input_keys: Sequence[str] = ()
    ) -> list[Example]:
        """Read a `DataFrame`; a missing value is `None`.

        Raises:
            DatasetError: It is not a table, or has no such field.
        """
        return _examples(_rows(df), fields, input_keys)

    def from_json(
        self, file_path: str | PathLike[str], fields: Sequence[str] | None = None, input_keys: Sequence[str] = ()
    ) -> list[Example]:
        """Read a list of objects, or an object on each line; a field that a row does not have is `None`.

        Raises:
            DatasetError: The file cannot be read, or has no such field.
        """
        rows = _rows(file_path)
        names = dict.fromkeys(name for row in rows for name in row)
        return _examples([{name: row.get(name) for name in names} for row in rows], fields, input_keys)

    def from_parquet(
        self, file_path: str | PathLike[str], fields: Sequence[str] | None = None, input_keys: Sequence[str] = ()
    ) -> list[Example]:
        """Read a Parquet file; it needs the library pyarrow.

        Raises:
            DatasetError: The file cannot be read, or has no such field.
        """
        return _examples(_rows(file_path), fields, input_keys)

    def from_rm(self, num_samples: int, fields: Sequence[str], input_keys: Sequence[str]) -> list[Example]:
        """Read objects of the retriever in the settings, if it has a method `get_objects`.

        Raises:
            ConfigurationError: There is no retriever, or it has no such method.
        """
        retriever = current().rm
        if retriever is None:
            raise ConfigurationError("there is no retriever: set one with configure(rm=...)")
        get_objects = getattr(retriever, "get_objects", None)
        if not callable(get_objects):
            raise ConfigurationError(f"the retriever {value_text(retriever, 200)} has no `get_objects`: use another")
        return _examples(list(get_objects(num_samples=num_samples, fields=fields)), fields, input_keys)

    def sample(self, dataset: list[Example], n: int, *args: Any, **kwargs: Any) -> list[Example]:
        """Return `n` examples drawn by `random.sample`, which gets the other arguments and takes `random.seed`.

        Raises:
            ConfigurationError: `dataset` is not a list.
        """
        _refuse_others(dataset)
        return random.sample(dataset, n, *args, **kwargs)

    def train_test_split(
        self,
        dataset: list[Example],
        train_size: float = 0.75,
        test_size: float | None = None,
        random_state: int | None = None,
    ) -> dict[str, list[Example]]:
        """Shuffle examples and return those for training and for testing, under `train` and `test`.

        `random_state` is the seed of the shuffle; without it, that of the module `random` counts. The same seed gives
        the parts that DSPy gives.

        Raises:
            ConfigurationError: A size is neither a number of examples nor a part of them, or they need more than
                there is.
        """
        _refuse_others(dataset)
        shuffled = list(dataset)
        (random if random_state is None else random.Random(random_state)).shuffle(shuffled)  # noqa: S311  no secret
        train = _count("train_size", train_size, len(shuffled))
        test = len(shuffled) - train if test_size is None else _count("test_size", test_size, len(shuffled))
        if train + test > len(shuffled) or test < 0:
            raise ConfigurationError(
                f"train_size={train_size!r} and test_size={test_size!r} need {train + max(test, 0)} examples, and "
                f"there are {len(shuffled)}"
            )
        return {"train": shuffled[:train], "test": shuffled[train : train + test]}


def _count(name: str, size: Any, total: int) -> int:
    if isinstance(size, float) and 0 < size < 1:
        return int(total * size)
    if is_whole(size, 0):
        return size
    raise ConfigurationError(f"{name}={size!r} must be a number of examples, or a part of them between 0.0 and 1.0")


def _refuse_others(dataset: Any) -> None:
    if not isinstance(dataset, list):
        raise ConfigurationError(f"the dataset must be a list of examples, not {value_text(dataset, 200)}")


def _rows(source: Any) -> list[dict[str, Any]]:
    found = find(source, split=None, delimiter=None)
    rows, faults = [], []
    for place, row in found.rows:
        if isinstance(row, DatasetError):
            faults.append((place, place.named(row)))
        elif isinstance(row, Mapping):
            rows.append(dict(row))
        else:
            shown = value_text(row, 200)
            faults.append((place, place.error(f"row {place.number} is not an object of named fields but {shown}")))
    if faults:
        raise one_error(faults, found.path)
    return rows


def _examples(rows: Rows, fields: Iterable[str] | None, input_keys: Iterable[str]) -> list[Example]:
    chosen = tuple(fields or ())
    for number, row in enumerate(rows, 1):
        missing = next((name for name in chosen if name not in row), None)
        if missing is not None:
            raise DatasetError(f"row {number} has no field {missing!r}; it has: {', '.join(map(repr, row))}")
    return [Example({name: row[name] for name in chosen or row}).with_inputs(*input_keys) for row in rows]


def _typed(rows: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Return the rows of a text table with the types that pandas finds in each column."""
    columns = {name: _column([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    return [{name: values[number] for name, values in columns.items()} for number in range(len(rows))]


def _column(cells: Sequence[str]) -> list[Any]:
    given = [cell for cell in cells if cell not in _MISSING]
    kind: Any = str
    if given and all(map(_INTEGER.fullmatch, given)):
        kind = int if len(given) == len(cells) else float
    elif given and all(map(_NUMBER.fullmatch, given)):
        kind = float
    elif given and all(cell in _TRUTHS for cell in given):
        kind = _TRUTHS.__getitem__
    return [None if cell in _MISSING else kind(cell) for cell in cells]
