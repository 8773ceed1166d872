"""The rows of a test's datasets: read once in a session, chosen, the same in every process. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import DatasetError
from dspex_core.plugin_api import value_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex_core import Example
    from pytest_dspex.collecting.source import DataSource

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row of a test's datasets; `id` is that of its case, in which the dataset's name stands if there are more."""

    source: DataSource
    example: Example
    id: str


# The rows of each test function, by its node id; each by the identity of its example, which is a case's parameter.
ROWS = pytest.StashKey[dict[str, dict[int, Row]]]()
_READ = pytest.StashKey[dict[tuple[Any, ...], tuple[Any, list["Example"]]]]()


def rows_of(sources: Sequence[DataSource], config: pytest.Config) -> list[Row]:
    """Read the datasets of a test and choose its rows.

    Raises:
        DatasetError: A dataset cannot be read, or no rows are left of it.
    """
    is_one = len(sources) == 1
    return [
        Row(source, example, str(example.id))
        if is_one
        else Row(source, example.copy(), f"{source.name}-{example.id}")  # two may choose one row
        for source in sources
        for example in _chosen(source, _examples(source, config))
    ]


def digest_of(rows: Iterable[Row]) -> str:
    """Return a hash of what rows hold, which is the same in each process that has the same rows."""
    from dspex_core.plugin_api import to_json  # imported only for tests with rows

    texts = (json.dumps(to_json([row.id, dict(row.example.items())]), sort_keys=True) for row in rows)
    return hashlib.sha256("\n".join(_ADDRESS.sub("", text) for text in texts).encode()).hexdigest()[:16]


def _examples(source: DataSource, config: pytest.Config) -> list[Example]:
    """Read all rows of a dataset; each is read once in a session."""
    data, read = source.data, config.stash.setdefault(_READ, {})
    inputs = source.inputs or None
    key = (source.origin, source.split, source.delimiter, inputs, source.signature)
    if key not in read:
        if not isinstance(data, str | Path):  # what gives its rows only once is read once, whatever is asked of it
            data = _kept(data, read)
        # the data is kept as well: another object must not get its id
        examples = _loaded(data, source)
        _refuse_unknown_inputs(examples, source)
        read[key] = (source.data, examples)
    return read[key][1]


def _loaded(data: Any, source: DataSource) -> list[Example]:
    from dspex_core import SignatureError, load_dataset

    try:
        return load_dataset(
            data,
            inputs=source.inputs or None,
            split=source.split,
            delimiter=source.delimiter,
            signature=source.signature,
        )
    except SignatureError as error:
        raise DatasetError(
            f"signature={value_text(source.signature, 200)} of the dataset {source.name!r}: {error}"
        ) from error


def _kept(data: Any, read: dict[tuple[Any, ...], tuple[Any, list[Example]]]) -> Any:
    from dspex_core import load_dataset

    if not isinstance(data, Iterator) and not _is_function(data):
        return data
    key = (id(data),)
    if key not in read:
        examples = load_dataset(data)
        if _is_function(data) and _content(load_dataset(data)) != _content(examples):
            name = getattr(data, "__qualname__", repr(data))
            raise DatasetError(
                f"the function {name} gives other rows each time it is called, so its tests could be neither replayed "
                "nor split over processes: seed what is random in it, and sort sets"
            )
        read[key] = (data, examples)
    return read[key][1]


def _is_function(data: Any) -> bool:
    return callable(data) and not hasattr(data, "__iter__")


def _content(examples: Iterable[Example]) -> list[str]:
    from dspex_core.plugin_api import to_json

    return [_ADDRESS.sub("", json.dumps(to_json(dict(example.items())), sort_keys=True)) for example in examples]


def _refuse_unknown_inputs(examples: Sequence[Example], source: DataSource) -> None:
    unknown = next((example for example in examples if not example.input_keys), None)
    if unknown is not None:
        where = source.data if isinstance(source.data, str | Path) else None
        raise DatasetError(
            f'the inputs of the row {unknown.id!r} are not known: name them, inputs=["field", ...]',
            path=None if where is None else str(where),
        )


def _chosen(source: DataSource, examples: list[Example]) -> list[Example]:
    if source.where is not None:
        examples = [example for example in examples if _fits(example, source.where, examples)]
        if not examples:
            raise DatasetError(f"where={value_text(source.where, 200)} leaves no row of the dataset {source.name!r}")
    if source.sample is None:
        return examples
    from dspex_core.plugin_api import sample  # imported only for tests that have a sample

    count = source.sample if isinstance(source.sample, int) else max(1, round(source.sample * len(examples)))
    if count > len(examples):
        raise DatasetError(f"sample={count} asks for more than the {len(examples)} rows of {source.name!r}")
    return sample(examples, count, seed=source.seed)


def _fits(example: Example, where: Callable[[Any], Any] | Mapping[str, Any], examples: Sequence[Example]) -> bool:
    if not isinstance(where, Mapping):
        try:
            return bool(where(example))
        except Exception as error:  # the function is the user's
            raise DatasetError(
                f"where= raised {type(error).__name__}: {error} for the row {example.id!r}: {value_text(example, 200)}"
            ) from error
    for column, wanted in where.items():
        if column not in example and not any(column in each for each in examples):
            known = ", ".join(map(repr, example))
            raise DatasetError(f"where= names the column {column!r}, which no row has; there are: {known}")
        choices = wanted if isinstance(wanted, list | tuple | set | frozenset) else (wanted,)
        if not any(_equal(example.get(column), choice) for choice in choices):
            return False
    return True


def _equal(found: Any, wanted: Any) -> bool:
    """Return whether a cell has a value; the cells of tables are texts."""
    return bool(found == wanted) or (isinstance(found, str) and not isinstance(wanted, str) and found == str(wanted))
