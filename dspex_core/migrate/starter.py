"""A first test of converted rows, for people to go on from. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from dspex_core.migrate.conversion import Check, Conversion

# The code of each kind of comparison: `{output}` and `{column}` are names, `{threshold}` is a number.
COMPARISONS = {
    "equals": 'exact_match("{output}", normalize=False, expected="{column}")',
    "json": 'json_match("{output}", normalize=False, expected="{column}")',
    "same": 'normalized_match("{output}", expected="{column}")',
    "regex": 'regex_match("{output}", expected="{column}")',
    "rubric": 'Judge("The answer meets the rubric.", scale=bool, fields=["{output}", "example.{column}"])',
    "similar": 'embedding_similarity("{output}", EMBEDDER, threshold={threshold}, expected="{column}")',
    "contains": 'lambda row, made: row["{column}"] in str(made["{output}"])',
    "icontains": 'lambda row, made: row["{column}"].lower() in str(made["{output}"]).lower()',
    "starts-with": 'lambda row, made: str(made["{output}"]).startswith(row["{column}"])',
    "contains-any": 'lambda row, made: any(text in str(made["{output}"]) for text in row["{column}"])',
    "contains-all": 'lambda row, made: all(text in str(made["{output}"]) for text in row["{column}"])',
    "icontains-any": 'lambda row, made: any(t.lower() in str(made["{output}"]).lower() for t in row["{column}"])',
    "icontains-all": 'lambda row, made: all(t.lower() in str(made["{output}"]).lower() for t in row["{column}"])',
    "is-json": 'lambda row, made: is_json(str(made["{output}"]))',
}
_NEGATED = {
    "contains": 'lambda row, made: row["{column}"] not in str(made["{output}"])',
    "icontains": 'lambda row, made: row["{column}"].lower() not in str(made["{output}"]).lower()',
    "equals": 'lambda row, made: str(made["{output}"]) != row["{column}"]',
    "json": 'lambda row, made: json_match("{output}", normalize=False, expected="{column}")(row, made) < 1',
    "regex": 'lambda row, made: re.search(row["{column}"], str(made["{output}"])) is None',
}
_IMPORTED = ("Judge", "Embedder", "Predict", "Signature")
_METRICS = ("embedding_similarity", "exact_match", "json_match", "normalized_match", "regex_match")
_TYPES = {bool: "bool", int: "int", float: "float", list: "list", dict: "dict"}

_IS_JSON = '''def is_json(text):
    """Return whether a text is JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


'''
_TEST = """
@program
def answer():
    return Predict({signature})


CHECKS = {{  # by column of the data; a row is compared by those that it has a value for
{checks}
}}


@pytest.mark.dspex_data({data}, inputs={inputs})
@pytest.mark.dspex_gate("passed", min=1.0)
def test_cases(example, prediction, score):
    given = [column for column in CHECKS if example[column] is not None]
    assert given, "this row has nothing to be compared with"
    missed = [column for column in given if float(CHECKS[column](example, prediction)) < 1]
    score("passed", not missed, ", ".join(missed))
"""


def starter(made: Conversion, *, rows: Path, test: Path) -> str:
    """Return the text of a test file for rows at a path.

    Raises:
        ValueError: The rows have no column that a program is given, or that it could be compared with.
    """
    if not made.inputs:
        raise ValueError("no column is an input of a program, so there is no test to write")
    if not made.checks:
        raise ValueError("no column says what a program should answer, so there is no test to write")
    checks = "\n".join(f"    {_quoted(each.column)}: {_code(each)}," for each in made.checks)
    body = _TEST.format(
        signature=_signature(made),
        checks=checks,
        data=_quoted(os.path.relpath(rows.resolve(), test.resolve().parent).replace(os.sep, "/")),
        inputs="[" + ", ".join(map(_quoted, made.inputs)) + "]",
    )
    uses_json, uses_re = "is_json(" in body, "re.search(" in body
    source = re.sub(r"[^\w. -]", "_", made.source.rpartition("/")[2])
    head = [f'"""The cases of {source}, as a test; yours to change."""\n']
    modules = [f"import {name}" for name, used in (("json", uses_json), ("re", uses_re)) if used]
    head += [*modules, ""] if modules else []
    head += ["import pytest", ""]
    taken = [name for name in _IMPORTED if f"{name}(" in body or (name == "Embedder" and "EMBEDDER" in body)]
    head += [f"from dspex_core import {', '.join(sorted(taken))}"]
    metrics = [name for name in _METRICS if f"{name}(" in body]
    head += [f"from dspex_core.metrics import {', '.join(metrics)}"] if metrics else []
    head += ["from pytest_dspex import program", ""]
    head += ['EMBEDDER = Embedder("openai/text-embedding-3-small")', ""] if "EMBEDDER" in body else []
    imports = "\n".join(head)
    return f"{imports}\n\n{_IS_JSON if uses_json else ''}{body.lstrip()}"


def _code(check: Check) -> str:
    name = check.kind.removeprefix("not-")
    values = {"output": check.output, "column": check.column, "threshold": check.threshold}
    if name == check.kind:
        return COMPARISONS[name].format(**values)
    if name in _NEGATED:
        return _NEGATED[name].format(**values)
    return COMPARISONS[name].format(**values).replace("made: ", "made: not (", 1) + ")"


def _signature(made: Conversion) -> str:
    inputs = ", ".join(f"{name}{_typed([row[name] for row in made.rows])}" for name in made.inputs)
    outputs = ", ".join(dict.fromkeys(check.output for check in made.checks))
    text = _quoted(f"{inputs} -> {outputs}")
    return f"Signature({text}, {_quoted(made.instructions)})" if made.instructions else text


def _typed(values: list[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    kind = _TYPES.get(kinds.pop()) if len(kinds) == 1 else None
    return f": {kind}" if kind else ""


def _quoted(text: str) -> str:
    """Return a text as Python code, in double quotes."""
    return json.dumps(text, ensure_ascii=False)
