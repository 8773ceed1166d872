"""LangSmith's datasets, exported as JSON lines, JSON or CSV, as datasets of ours. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dspex_core.errors import DatasetError
from dspex_core.migrate.conversion import Check, Conversion, as_fields, free_name, rows_of, with_all_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_SIDES = {"inputs": "inputs", "outputs": "outputs", "reference_outputs": "outputs", "expected_outputs": "outputs"}
_FLAT = re.compile(r"(inputs?|outputs?|reference(?:_outputs?)?)[._:](.+)")
_DROPPED = {
    *("created_at", "modified_at", "dataset_id", "source_run_id", "dataset_name", "source_run_start_time"),
}


def convert(path: Path) -> Conversion:
    """Convert an exported dataset: the fields of `inputs` and `outputs` become columns.

    Raises:
        DatasetError: It cannot be read, or its rows have no inputs.
    """
    made = Conversion(str(path))
    examples = [(_Example.of(row, made, f"{path}:{line}")) for line, row in rows_of(path)]
    if not examples:
        raise DatasetError("has no examples", path=str(path))
    inputs = as_fields(_names(each.inputs for each in examples), set())
    outputs = as_fields(_names(each.outputs for each in examples), set())
    named: dict[str, str] = {}
    for name, field in outputs.items():
        column = f"expected_{field}" if field in inputs.values() else field
        named[name] = free_name(column, {*inputs.values(), *named.values()})
    taken = {*inputs.values(), *named.values()}
    made.rows = with_all_columns(
        [
            {
                **{(f"example_{name}" if name in taken else name): value for name, value in each.rest.items()},
                **{inputs[name]: value for name, value in each.inputs.items()},
                **{named[name]: value for name, value in each.outputs.items()},
            }
            for each in examples
        ],
        inputs=inputs.values(),
    )
    made.inputs = list(inputs.values())
    made.checks = [Check(column, "same", output=column) for column in named.values() if column in made.rows[0]]
    for kind, fields in (("input", inputs), ("output", named)):
        for name, column in fields.items():
            if name != column:
                made.remark(f"the {kind} {name!r} is the column {column!r}")
    return made


def _names(sides: Iterable[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for side in sides for name in side))


class _Example:
    """One example: its inputs, its outputs, and what else there is of it."""

    def __init__(self) -> None:
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}
        self.rest: dict[str, Any] = {}

    @classmethod
    def of(cls, row: Mapping[str, Any], made: Conversion, place: str) -> _Example:
        found = cls()
        for name, value in row.items():
            if value is not None and value != "":
                found._take(str(name), value, made, place)
        if not found.inputs:
            columns = ", ".join(map(repr, row))
            raise DatasetError(f"{place} has no inputs among its columns {columns}: name them `inputs.NAME`")
        return found

    def _take(self, name: str, value: Any, made: Conversion, place: str) -> None:
        if name in _SIDES:
            side = self.inputs if _SIDES[name] == "inputs" else self.outputs
            side.update(_fields(_SIDES[name].removesuffix("s"), value))
        elif name in _DROPPED:
            made.remark(f"{name!r} is LangSmith's own and not kept")
        elif name in ("attachments", "attachment_urls"):
            made.omit(place, f"{name!r} are files; give them to the program as inputs, such as `Image` or `File`")
        elif flat := _FLAT.fullmatch(name):
            side = self.inputs if flat[1].startswith("input") else self.outputs
            side[flat[2]] = _parsed(value)
        else:
            self.rest[name] = _parsed(value) if name == "metadata" else value


def _fields(alone: str, value: Any) -> dict[str, Any]:
    """Return the fields of `inputs` or `outputs`, which a table holds as JSON; a plain text is a field of its own."""
    value = _parsed(value)
    return value if isinstance(value, dict) else {alone: value}


def _parsed(value: Any) -> Any:
    """Return the object or the list that a cell of a table holds as JSON; any other text is itself."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
