"""Examples from files and from memory, with stable ids. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from numbers import Number
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.cells import refuse_not_finite
from dspex_core.datasets.ids import Ids
from dspex_core.datasets.names import composed, composed_name
from dspex_core.datasets.places import one_error
from dspex_core.datasets.schema import faults_of
from dspex_core.datasets.sources import find
from dspex_core.errors import DatasetError
from dspex_core.example import Example, Record, as_row
from dspex_core.plain.display import value_text
from dspex_core.signatures.signature import ensure_signature

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dspex_core.datasets.places import Place
    from dspex_core.datasets.sources import Source
    from dspex_core.signatures.signature import Signature

_IDS = frozenset({str, int})  # the types of nearly all ids
_LONGEST_ID = 10**300
Values = Mapping[str, Any] | Record


def load_dataset(
    source: Source,
    *,
    inputs: Iterable[str] | None = None,
    split: str | None = None,
    delimiter: str | None = None,
    signature: type[Signature] | str | None = None,
) -> list[Example]:
    """Read the examples of a dataset.

    Every example has an id: its field `id`, or else one that is made from what the row holds (`row-0d5c2f7a91be`) and
    stays the same wherever the row stands. Equal rows are numbered (`...-2`). docs/datasets.md says how each format
    is read.

    Args:
        source: The path of a file (`.jsonl`, `.ndjson`, `.json`, `.csv`, `.tsv`, `.yaml`, `.yml` or `.parquet`, each
            also with `.gz`), or of a folder of them; dicts or examples in a list or any other iterable; a `DataFrame`;
            a function without parameters that returns one of these; a dataset of the library `datasets`, or its name
            on the Hugging Face hub (`"org/name"`, or `"hf:name"`).
        inputs: The fields that are inputs, which every row must have; by default those of the signature, or else what
            the examples themselves say.
        split: The split to read: a set of a dict or of a Hugging Face dataset, a file of a folder (`test.jsonl`), or
            else the rows whose column `split` has this value.
        delimiter: What parts the cells of a table; by default it is found.
        signature: A signature that every row must fit: its inputs are there, and they and the outputs that are there
            are values of the fields' types. The values stay as they are.

    Raises:
        DatasetError: The source cannot be used, or rows of it. The message says where and why; all rows that are at
            fault are in it and in its `problems`.
    """
    return _Reading(source, inputs=inputs, split=split, delimiter=delimiter, signature=signature).whole()


def stream_dataset(
    source: Source,
    *,
    inputs: Iterable[str] | None = None,
    split: str | None = None,
    delimiter: str | None = None,
    signature: type[Signature] | str | None = None,
) -> Iterator[Example]:
    """Yield the examples of a dataset while they are read, so that only one is in memory, beside 70 bytes for each id.

    They are those that `load_dataset` returns, and so are the arguments. `.json` and `.yaml` files are read as a whole
    before their first row; a dataset of the hub is downloaded as far as it is read.

    Raises:
        DatasetError: The source cannot be used; or, while it is read, its first row that is at fault.
    """
    reading = _Reading(source, inputs=inputs, split=split, delimiter=delimiter, signature=signature, is_stream=True)
    return reading.stream()


class _Reading:
    """A dataset that is being read; the arguments are those of `load_dataset`."""

    def __init__(
        self,
        source: Source,
        *,
        inputs: Iterable[str] | None,
        split: str | None,
        delimiter: str | None,
        signature: type[Signature] | str | None,
        is_stream: bool = False,
    ) -> None:
        self._found = find(source, split=split, delimiter=delimiter, is_stream=is_stream)
        self._signature = None if signature is None else ensure_signature(signature)
        self._inputs = _names(inputs)
        self._of_signature = frozenset(() if self._signature is None else self._signature.input_fields)
        self._split = None if self._found.is_split else split
        self._ids = Ids(keeps_places=not is_stream)
        self._path = self._found.path

    def whole(self) -> list[Example]:
        """Return all examples.

        Raises:
            DatasetError: Rows are at fault; all of them are in the error.
        """
        faults: list[tuple[Place | None, DatasetError]] = []
        examples: list[Example] = []
        try:
            for place, found in self._examples():
                if isinstance(found, DatasetError):
                    faults.append((place, found))
                else:
                    examples.append(found)
        except DatasetError as error:
            if not faults:
                raise
            faults.append((None, error))
        if faults:
            raise one_error(faults, self._path)
        return examples

    def stream(self) -> Iterator[Example]:
        for _, found in self._examples():
            if isinstance(found, DatasetError):
                raise found
            yield found

    def _examples(self) -> Iterator[tuple[Place, Example | DatasetError]]:
        """Yield an example for each row, or what is wrong with it.

        Raises:
            DatasetError: There are no rows, or none of the asked split.
        """
        count, chosen = 0, 0
        splits: dict[str, None] = {}
        for place, row in self._found.rows:
            count += 1
            example = self._example(row, place)
            if self._split is not None and isinstance(example, Example) and example.get("split") != self._split:
                if "split" in example:
                    splits[str(example["split"])] = None
                continue
            chosen += 1
            yield place, example
        if not count:
            raise DatasetError("has no rows" if self._path else "the dataset has no rows", path=self._path)
        if not chosen:
            has = f"its column 'split' has: {', '.join(map(repr, sorted(splits)))}" if splits else None
            message = f"has no rows of the split {self._split!r}: {has or 'it has no column ' + repr('split')}"
            raise DatasetError(message, path=self._path)

    def _example(self, row: Any, place: Place) -> Example | DatasetError:
        if isinstance(row, DatasetError):
            return place.named(row)
        try:
            return self._checked(row, place)
        except RecursionError:
            return place.error(f"row {place.number} holds itself or is nested too deeply")

    def _checked(self, row: Any, place: Place) -> Example | DatasetError:
        values = row if type(row) is dict else _values(row)
        if values is None:
            shown = value_text(row, 200)
            return place.error(f"row {place.number} is not an object of named fields but {shown}")
        odd = next((name for name in values if not isinstance(name, str)), "") if self._found.is_made else ""
        if not isinstance(odd, str):
            return place.error(f"row {place.number} has a field whose name is not a text: {value_text(odd, 100)}")
        if not (isinstance(values, Record) or all(map(str.isascii, values))):
            values, twice = composed(values)
            if twice is not None:
                return place.error(f"row {place.number} has two fields whose names look alike, {twice!r}: rename one")
        fault = self._fault(values, is_made=self._found.is_made and not isinstance(row, Example))
        if fault is not None:
            return place.error(f"row {place.number} {fault}")
        own = values.id if isinstance(values, Example) else values.get("id")
        row_id = self._ids.of_content(values, place) if own is None else str(own)
        if own is not None and (first := self._ids.repeated(row_id, place)) is not None:
            return place.error(f"{place} has the id {row_id!r} of {first}; ids must differ")
        return as_row(values, row_id, inputs=self._inputs_of(values))

    def _inputs_of(self, values: Values) -> frozenset[str] | None:
        if self._inputs or self._signature is None:
            return self._inputs or None
        return self._of_signature.intersection(values)

    def _fault(self, values: Values, *, is_made: bool) -> str | None:
        """Return what is wrong with a row, if anything is."""
        for name in self._inputs:
            if name not in values:
                return f"lacks the input {name!r}; it has: {', '.join(map(repr, values)) or 'none'}"
        if "id" in values:
            own = values["id"]
            if own is None or (isinstance(own, str) and not own):
                return "has an empty id: give it one, or leave the field out"
            if type(own) not in _IDS and (isinstance(own, bool) or not isinstance(own, str | Number)):
                return f"has the id {value_text(own, 100)}, which is neither a text nor a number"
            if isinstance(own, int) and abs(own) >= _LONGEST_ID:
                return "has a number of hundreds of digits as its id: write a shorter one, or a text"
        if is_made:
            try:
                refuse_not_finite(dict(values.items()))
            except ValueError as error:
                return str(error)
        return None if self._signature is None else "; it ".join(faults_of(values, self._signature)) or None


def _names(inputs: Iterable[str] | None) -> frozenset[str]:
    return frozenset(map(composed_name, (inputs,) if isinstance(inputs, str) else inputs or ()))


def _values(row: Any) -> Values | None:
    """Return a row's values by their names, or an example of them; `None` if it has no named fields."""
    if isinstance(row, Record | Mapping):
        return row
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    convert = getattr(row, "toDict", None) or getattr(row, "model_dump", None)  # of DSPy's examples; of pydantic models
    if not callable(convert) or isinstance(row, type):
        return None
    inputs = getattr(row, "_input_keys", None)  # where DSPy keeps them
    return Example(convert()).with_inputs(*inputs) if inputs else Example(convert())
