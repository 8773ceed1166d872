"""DeepEval's goldens as datasets: what `EvaluationDataset.save_as` writes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dspex_core.errors import DatasetError
from dspex_core.migrate.conversion import Check, Conversion, rows_of, with_all_columns
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LISTS = ("context", "retrieval_context")  # joined by bars where a file has only texts
_JSON = ("turns", "tools_called", "expected_tools", "additional_metadata", "custom_column_key_values", "expectations")
_TOOLS = ("tools_called", "expected_tools")
_KNOWN = {
    *("input", "actual_output", "expected_output", "context", "retrieval_context", "name", "comments", "source_file"),
    *("tools_called", "expected_tools", "additional_metadata", "custom_column_key_values", "expectations"),
    *("scenario", "turns", "expected_outcome", "user_description", "persona", "expected_labels"),
    *("token_cost", "input_token_count", "output_token_count"),
}
_SOURCE = re.compile(r"deepeval_source=(?P<source>.*?),deepeval_context=(?P<text>.*)", re.DOTALL)
_IMAGE = re.compile(r"\[DEEPEVAL:(?:IMAGE|PDF):")


def convert(path: Path) -> Conversion:
    """Convert a file of goldens: of single turns, or of conversations.

    Raises:
        DatasetError: It cannot be read, or has no goldens.
    """
    made = Conversion(str(path))
    found = [(line, {_snake(str(name)): value for name, value in row.items()}) for line, row in rows_of(path)]
    if not found:
        raise DatasetError("has no goldens", path=str(path))
    first = "scenario" if "scenario" in found[0][1] else "input"
    rows = [
        _row(row, made, place=f"{path}:{line}: golden {number}", first=first)
        for number, (line, row) in enumerate(found, 1)
    ]
    names = [row.get("name") for row in rows]
    have_names = all(isinstance(name, str) and name for name in names) and len({*names}) == len(names)
    if have_names and not any("id" in row for row in rows):
        rows = [{"id": row.pop("name"), **row} for row in rows]
    made.rows = with_all_columns(rows, inputs=[first])
    columns = made.rows[0].keys()
    made.inputs = [first]
    if first == "input":
        made.checks += [Check("expected_output", "same")] if "expected_output" in columns else []
    else:
        made.remark("these are conversations: docs/cases.md shows `converse` and `SimulatedUser`")
    for name, advice in (
        ("retrieval_context", "`Faithfulness` compares an answer with it"),
        ("expected_tools", "`trajectory_match` compares the calls of an agent with it"),
        ("expectations", "`Judge` can decide each"),
    ):
        if name in columns:
            made.remark(f"{name} is a column without a check: {advice}")
    return made


def _snake(name: str) -> str:
    """Return a name as Python writes it; exports of the service have `expectedOutput`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _row(row: Mapping[str, Any], made: Conversion, *, place: str, first: str) -> dict[str, Any]:
    if row.get(first) in (None, ""):
        raise DatasetError(f"{place} has no {first!r}: is it a golden?")
    converted = {}
    for name, value in row.items():
        if name not in _KNOWN:
            made.remark(f"{name!r} is not a field of goldens; it is a column as it stands")
        converted[name] = _value(name, value, made, place=place)
    return converted


def _value(name: str, value: Any, made: Conversion, *, place: str) -> Any:
    if value is None or value == "":
        return None
    if name in _JSON and isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise DatasetError(f"{place}: {name} is not JSON: {value_text(value, 60)}") from None
    if name in _LISTS and isinstance(value, str):
        value = value.split("|")
        made.remark(f"{name} is a text, split at its bars, as DeepEval does")
    if name in (*_LISTS, *_TOOLS):
        if not isinstance(value, list):
            raise DatasetError(f"{place}: {name} is not a list: {value_text(value, 60)}")
        value = [(_call if name in _TOOLS else _passage)(each) for each in value]
    if _IMAGE.search(json.dumps(value)):
        made.omit(f"{place}: {name}", "an image or a PDF is not in the file, only its mark: use `Image` or `File`")
    return value


def _passage(item: Any) -> Any:
    found = _SOURCE.fullmatch(item) if isinstance(item, str) else None
    return item if found is None else {"source": found["source"], "text": found["text"]}


def _call(item: Any) -> Any:
    """Return a call of a tool as `trajectory_match` reads it."""
    if not isinstance(item, dict) or "name" not in item:
        return item
    arguments = item.get("inputParameters", item.get("input_parameters"))
    rest = {key: value for key, value in item.items() if key not in ("inputParameters", "input_parameters", "type")}
    return rest if arguments is None else {**rest, "args": arguments}
