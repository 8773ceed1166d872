"""Evaluations as files. PYTEST_DONT_REWRITE

Tables (`.csv`, `.parquet`) have a row for each case and are for people and other tools. `.json` and `.jsonl` hold all
of it, and `load` reads them:

    {"dspex": "evaluation", "version": 1, "metric": "exact_match", "n": 2, "figures": null, "stopped": null}
    {"example": {...}, "prediction": {...}, "score": {...}, ..., "attempt": 1, "index": 0}
    {"example": {...}, "prediction": {...}, "score": {...}, ..., "attempt": 1, "index": 1}
"""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ArtifactError, ConfigurationError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.evaluation.case import CaseResult
from dspex_core.evaluation.rows import records_of, rows_of
from dspex_core.plain.data import json_text
from dspex_core.storage.files import read_file, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Path_ = str | os.PathLike[str]
    Rows = list[dict[str, Any]]

_KIND = {"dspex": "evaluation", "version": 1}
_INT64 = 1 << 63


def write_csv(metric: str, cases: Sequence[CaseResult], path: Path_) -> None:
    """Write a line for each case, with DSPy's columns; values that are not text as JSON."""
    write_atomically(path, _csv(rows_of(metric, cases)))


def write_json(metric: str, cases: Sequence[CaseResult], path: Path_) -> None:
    """Write a list with an object for each case, with DSPy's columns."""
    write_atomically(path, json.dumps(rows_of(metric, cases), ensure_ascii=False, indent=1, allow_nan=False))


def save(header: Mapping[str, Any], cases: Sequence[CaseResult], path: Path_) -> None:
    """Write an evaluation in the format of the file's suffix.

    Raises:
        ConfigurationError: The suffix is of another format, or pyarrow is not installed.
        ArtifactError: The file cannot be written.
    """
    write = _WRITERS.get(Path(path).suffix.lower())
    if write is None:
        raise ConfigurationError(f"an evaluation is saved as {', '.join(_WRITERS)}, not as {os.fspath(path)!r}")
    content = write({**_KIND, **header, "n": len(cases)}, cases)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise ArtifactError(f"cannot be written: {error.strerror}", path=os.fspath(path)) from error


def load(path: Path_) -> tuple[dict[str, Any], tuple[CaseResult, ...]]:
    """Return the header and the cases of a file that `save` wrote.

    Raises:
        ArtifactError: The file cannot be read, is damaged, or does not hold all of an evaluation.
    """
    name, suffix = os.fspath(path), Path(path).suffix.lower()
    if suffix not in (".json", ".jsonl"):
        raise ArtifactError("only .json and .jsonl files hold all of an evaluation; tables are for people", path=name)
    try:
        text = read_file(path).decode()
    except OSError as error:
        raise ArtifactError(f"cannot be read: {error.strerror}", path=name) from error
    except UnicodeDecodeError as error:
        raise ArtifactError("is not a text in UTF-8", path=name) from error
    try:
        if suffix == ".json":
            header = json.loads(text)
            cases = header.pop("cases")
        else:
            header, *cases = map(json.loads, text.splitlines())
        if {key: header.get(key) for key in _KIND} != _KIND:
            raise ArtifactError("does not hold an evaluation that `save` wrote", path=name)
        found = tuple(map(CaseResult.from_json, cases))
        n = header["n"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, ArtifactError):
            raise
        raise ArtifactError(f"is damaged, or does not hold an evaluation: {error}", path=name) from error
    if len(found) != n:
        raise ArtifactError(f"is damaged: it has {len(found)} of its {n} cases", path=name)
    return header, found


def _csv(rows: Rows) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row))
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    return "" if value is None else json_text(value)


def _as_csv(header: Mapping[str, Any], cases: Sequence[CaseResult]) -> str:
    return _csv(records_of(header["metric"], cases))


def _as_jsonl(header: Mapping[str, Any], cases: Sequence[CaseResult]) -> str:
    lines = (json.dumps(data, allow_nan=False) for data in (header, *(case.to_json() for case in cases)))
    return "".join(f"{line}\n" for line in lines)


def _as_json(header: Mapping[str, Any], cases: Sequence[CaseResult]) -> str:
    return json.dumps({**header, "cases": [case.to_json() for case in cases]}, indent=1, allow_nan=False) + "\n"


def _as_parquet(header: Mapping[str, Any], cases: Sequence[CaseResult]) -> bytes:
    try:
        with foreign_code():
            import pyarrow as pa  # an extra, and large
            from pyarrow import parquet
    except ImportError:
        raise ConfigurationError(
            "a .parquet file needs pyarrow: pip install 'pytest-dspex[parquet]', or save as .jsonl"
        ) from None
    rows = records_of(header["metric"], cases)
    names = dict.fromkeys(name for row in rows for name in row)
    table = pa.table({name: pa.array(_column([row.get(name) for row in rows])) for name in names})
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def _column(values: list[Any]) -> list[Any]:
    """Return a column of one type: as it is, or as JSON texts if values differ in type or do not fit into 64 bits."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} and all(value is None or abs(value) < _INT64 for value in values):
        return [float(value) if value is not None and float in kinds else value for value in values]
    if kinds in ({bool}, {str}):
        return values
    return [None if value is None else _cell(value) for value in values]


_WRITERS: Mapping[str, Callable[[Mapping[str, Any], Sequence[CaseResult]], str | bytes]] = {
    ".csv": _as_csv,
    ".json": _as_json,
    ".jsonl": _as_jsonl,
    ".parquet": _as_parquet,
}
