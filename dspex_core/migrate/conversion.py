"""Another tool's cases as rows of a dataset, and the list of the parts that have no place there. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import keyword
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.datasets.formats import reader_of
from dspex_core.errors import DatasetError
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class Check:
    """A column of the rows that says what a program should have made.

    Attributes:
        column: The column; where a row has no value in it, the check does not concern the row.
        kind: How output and column are compared; `starter.COMPARISONS` has the code of each.
        output: The program's output that is compared.
        threshold: From which similarity on it is right, where the kind has one.
    """

    column: str
    kind: str
    output: str = "output"
    threshold: float | None = None


@dataclass
class Conversion:
    """The rows that a file of another tool has become.

    Attributes:
        source: The file.
        rows: The rows, each with all columns that are not empty in every row.
        inputs: The columns that the program is given.
        checks: The columns that it is compared with.
        left_out: A message for each part that could not be converted, with its file and place.
        remarks: A message for each part that was converted, but is not the same as it was.
        instructions: The text of the prompt, if the file has one.
    """

    source: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    instructions: str = ""

    def omit(self, place: str, message: str) -> None:
        """Note that something is left out, once."""
        if (said := f"{place}: {message}") not in self.left_out:
            self.left_out.append(said)

    def remark(self, message: str) -> None:
        """Note that something is not the same as it was, once."""
        if (said := f"{self.source}: {message}") not in self.remarks:
            self.remarks.append(said)


def rows_of(path: Path) -> Iterator[tuple[int | None, dict[str, Any]]]:
    """Yield the objects of a file of rows, with their lines.

    Raises:
        DatasetError: It cannot be read, or a row is not an object, or has values that JSON lacks.
    """
    reader = reader_of(str(path), delimiter=None)
    if reader is None:
        raise DatasetError("needs to be a .json, .jsonl, .csv, .tsv or .yaml file", path=str(path))
    for line, row in reader(str(path)):
        if isinstance(row, DatasetError):
            raise row if row.path else DatasetError(str(row), path=str(path), line=line)
        if not hasattr(row, "keys"):
            raise DatasetError(f"has {value_text(row, 60)} where an object should be", path=str(path), line=line)
        found = dict(row)
        try:
            json.dumps(found, allow_nan=False)  # YAML and Parquet have values that the rows made of them cannot hold
        except (TypeError, ValueError) as error:
            raise DatasetError(f"has a value that JSON lacks: {error}", path=str(path), line=line) from error
        yield line, found


def with_all_columns(rows: Sequence[Mapping[str, Any]], *, inputs: Collection[str]) -> list[dict[str, Any]]:
    """Return rows that all have the same columns, in the order in which they come up.

    Columns without a value in any row are left out, but for inputs: a program is given all of them.
    """
    columns = {name: None for row in rows for name, value in row.items() if value is not None or name in inputs}
    return [{name: row.get(name) for name in columns} for row in rows]


def as_fields(names: Sequence[str], taken: set[str]) -> dict[str, str]:
    """Return for each name one that a signature's field may have and that nothing else has."""
    fields: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"\W", "_", name).strip("_")
        if not plain or plain[0].isdigit() or keyword.iskeyword(plain) or plain == "self":
            plain = f"value_{plain}".rstrip("_")
        fields[name] = free_name(plain, {*fields.values(), *taken})
    return fields


def free_name(name: str, taken: set[str]) -> str:
    """Return a name that is not taken: `name`, `name_2`, ..."""
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found
