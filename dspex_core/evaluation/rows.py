"""Cases as rows of a table: a column for each field, and for what the evaluation knows. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dspex_core.evaluation.grouped import id_of
from dspex_core.example import Record
from dspex_core.programs.demos.stored import plainest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from dspex_core.evaluation.case import CaseResult

Row = dict[str, Any]

_BEFORE = ("id", "index", "attempt")
_AFTER = (
    *("feedback", "details", "phase", "error", "latency", "cost"),
    *("calls", "cached_calls", "prompt_tokens", "completion_tokens"),
)


def rows_of(metric: str, cases: Iterable[CaseResult]) -> list[Row]:
    """Return what each case was given and gave, by name, as JSON data; DSPy's columns."""
    return [{**_fields(case, taken={metric}), metric: case.score.value} for case in cases]


def records_of(metric: str, cases: Iterable[CaseResult]) -> list[Row]:
    """Return all that is known of each case but its trace, as JSON data."""
    taken = {*_BEFORE, *_AFTER, metric}
    return [_record(metric, case, taken) for case in cases]


def _record(metric: str, case: CaseResult, taken: Collection[str]) -> Row:
    error, usage = case.error, case.usage
    tokens = usage.total
    before = (id_of(case.example), case.index, case.attempt)
    after = (
        case.score.feedback or None,
        json.dumps(case.score.details, ensure_ascii=False) if case.score.details else None,
        None if error is None else error.phase,
        None if error is None else str(error),
        *(case.latency, usage.cost, usage.calls, usage.cached_calls, tokens.prompt_tokens, tokens.completion_tokens),
    )
    return {
        **dict(zip(_BEFORE, map(plainest, before), strict=True)),
        **_fields(case, taken=taken, with_error=False),
        metric: case.score.value,
        **dict(zip(_AFTER, map(plainest, after), strict=True)),
    }


def _fields(case: CaseResult, *, taken: Collection[str], with_error: bool = True) -> Row:
    """Return the fields of the example and the prediction.

    A name that both have, or that is taken, is said whose it is, as in DSPy. No value fails: see `plainest`.
    """
    prediction = case.prediction
    given = dict(case.example.items())
    found = dict(prediction.items()) if isinstance(prediction, Record) else {"prediction": prediction}
    if case.error is not None:
        found = {"error": str(case.error)} if with_error else found if isinstance(prediction, Record) else {}
    both = (given.keys() & found.keys()) | set(taken)
    named = {
        **{f"example_{name}" if name in both else name: value for name, value in given.items()},
        **{f"pred_{name}" if name in both else name: value for name, value in found.items()},
    }
    return {str(plainest(name)): plainest(value) for name, value in named.items()}
