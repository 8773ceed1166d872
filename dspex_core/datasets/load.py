"""Examples from files and from memory, with stable ids. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.sources import find
from dspex_core.errors import DatasetError
from dspex_core.example import Example, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dspex_core.datasets.sources import Source


def load_dataset(
    source: Source, *, inputs: Iterable[str] | None = None, split: str | None = None, delimiter: str | None = None
) -> list[Example]:
    """Read the examples of a dataset.

    Every example has an id: its own, its field `id`, or else `row-<n>`, counting rows from 1.

    Files are in UTF-8: `.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.yaml` or `.yml`, each also with `.gz`. A `.json`
    or `.yaml` file holds a list of objects, alone or as `{"data": [...]}`. NaN, which tables write for an empty cell,
    is read as `None`. The values of tables are texts; rows without any text are left out, and so is a first column
    without a name, which numbers rows.

    Args:
        source: The path of a file, or of a folder with one for each split; dicts or examples in a list or any other
            iterable; a `DataFrame`; a function without parameters that returns one of these; a dataset of the library
            `datasets`, or its name on the Hugging Face hub (`"org/name"`, or `"hf:name"`).
        inputs: The fields that are inputs, which every row must have; by default, what the examples themselves say.
        split: The split to read: a set of a dict or of a Hugging Face dataset, a file of a folder (`test.jsonl`), or
            else the rows whose column `split` has this value.
        delimiter: What parts the cells of a table; by default it is found in the header.

    Raises:
        DatasetError: The source cannot be used; the message says where and why.
    """
    found = find(source, split=split, delimiter=delimiter)
    wanted = (inputs,) if isinstance(inputs, str) else tuple(inputs or ())
    examples: list[Example] = []
    places: dict[str, str] = {}
    for number, (line, row) in enumerate(found.rows, 1):
        example = _example(row, number=number, inputs=wanted, path=found.path, line=line)
        place = f"row {number}" if line is None else f"line {line}"
        first = places.setdefault(str(example.id), place)
        if first != place:
            message = f"{place} has the id {example.id!r} of {first}; ids must differ"
            raise DatasetError(message, path=found.path, line=line)
        examples.append(example)
    if not examples:
        raise DatasetError("has no rows" if found.path else "the dataset has no rows", path=found.path)
    return examples if split is None or found.is_split else _of_split(examples, split, found.path)


def _of_split(examples: Sequence[Example], split: str, path: str | None) -> list[Example]:
    chosen = [example for example in examples if example.get("split") == split]
    if not chosen:
        known = sorted({str(example["split"]) for example in examples if "split" in example})
        has = f"its column 'split' has: {', '.join(map(repr, known))}" if known else "it has no column 'split'"
        raise DatasetError(f"has no rows of the split {split!r}: {has}", path=path)
    return chosen


def _example(row: Any, *, number: int, inputs: Sequence[str], path: str | None, line: int | None) -> Example:
    example = _as_example(row)
    if example is None:
        message = f"row {number} is not an object of named fields but {row!r:.200}"
        raise DatasetError(message, path=path, line=line)
    missing = [name for name in inputs if name not in example]
    if missing:
        message = f"row {number} lacks the input {missing[0]!r}; it has: {', '.join(map(repr, example)) or 'none'}"
        raise DatasetError(message, path=path, line=line)
    if example.get("id", number) in (None, ""):
        message = f"row {number} has an empty id: give it one, or leave the field out"
        raise DatasetError(message, path=path, line=line)
    if example.id is None:
        example = example.with_id(f"row-{number}")
    return example.with_inputs(*inputs) if inputs else example


def _as_example(row: Any) -> Example | None:
    """Return a row as an example; `None` if it has no named fields."""
    if isinstance(row, Example):
        return row
    if isinstance(row, Record | Mapping):
        return Example(row)
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return Example({field.name: getattr(row, field.name) for field in dataclasses.fields(row)})
    convert = getattr(row, "toDict", None) or getattr(row, "model_dump", None)  # of DSPy's examples; of pydantic models
    if not callable(convert) or isinstance(row, type):
        return None
    example = Example(convert())
    inputs = getattr(row, "_input_keys", None)  # where DSPy keeps them
    return example.with_inputs(*inputs) if inputs else example
