"""An evaluation as a table in a file. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from dspex_core.example import Record
from dspex_core.programs.demos.stored import plainest
from dspex_core.storage.files import write_atomically

if TYPE_CHECKING:
    from os import PathLike

    from dspex_core.evaluation.case import CaseResult
    from dspex_core.evaluation.result import EvaluationResult


def write_csv(result: EvaluationResult, path: str | PathLike[str]) -> None:
    """Write a line for each case; values that are not text as JSON. No value fails: see `plainest`."""
    rows = rows_of(result)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, dict.fromkeys(name for row in rows for name in row))
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    write_atomically(path, text.getvalue())


def write_json(result: EvaluationResult, path: str | PathLike[str]) -> None:
    """Write a list with an object for each case."""
    write_atomically(path, json.dumps(rows_of(result), ensure_ascii=False, indent=1, allow_nan=False))


def rows_of(result: EvaluationResult) -> list[dict[str, Any]]:
    """Return what each case was given and gave, by name, as JSON data."""
    return [
        {
            **{str(plainest(name)): plainest(value) for name, value in _fields(case).items()},
            result.metric: case.score.value,
        }
        for case in result.cases
    ]


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _fields(case: CaseResult) -> dict[str, Any]:
    """Return the fields of the example and the prediction; a name that both have is said whose it is, as in DSPy."""
    given = dict(case.example.items())
    found = dict(case.prediction.items()) if isinstance(case.prediction, Record) else {"prediction": case.prediction}
    if case.error is not None:
        found = {"error": str(case.error)}
    both = given.keys() & found.keys()
    return {
        **{f"example_{name}" if name in both else name: value for name, value in given.items()},
        **{f"pred_{name}" if name in both else name: value for name, value in found.items()},
    }
