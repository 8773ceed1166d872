"""promptfoo's assertions as columns of rows. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_LISTS = ("contains-any", "contains-all", "icontains-any", "icontains-all")
_TEXTS = ("contains", "icontains", "starts-with", "regex")
_JUDGED = {"llm-rubric": "rubric", "model-graded-closedqa": "rubric", "similar": "similar", "similar:cosine": "similar"}
_MAY_BE_NEGATED = {"equals", "is-json", *_LISTS, *_TEXTS}
_THRESHOLD = 0.75  # of `similar`, where a test gives none
_KEPT = {"type", "value", "threshold"}

_WRITE = "write the condition in the test"
_AGENT = "`trajectory_match` compares the calls of tools"
_ADVICE = {
    "answer-relevance": "`AnswerRelevance` is a judge of it",
    "bleu": "`bleu` is a metric",
    "context-faithfulness": "`Faithfulness` is a judge of it",
    "context-recall": "`recall_at_k` compares what was retrieved",
    "context-relevance": "`precision_at_k` compares what was retrieved",
    "conversation-relevance": "`ConversationJudge` is a judge of it",
    "cost": 'a gate does it: `dspex_gate("cost", max=...)`',
    "factuality": "`Judge` with the field `example.answer` compares facts",
    "g-eval": "`GEval` is a judge",
    "is-refusal": "`Judge` can decide it",
    "javascript": _WRITE,
    "latency": 'a gate does it: `dspex_gate("latency", max=...)`',
    "levenshtein": "`fuzzy_match` compares texts",
    "model-graded-factuality": "`Judge` with the field `example.answer` compares facts",
    "python": _WRITE,
    "rouge-n": "`rouge_l` is a metric of the longest common sequence",
    "ruby": _WRITE,
    "tool-call-f1": _AGENT,
    "word-count": _WRITE,
}


class NotConvertedError(Exception):
    """An assertion has no column; the message says why."""


@dataclass(frozen=True)
class Wanted:
    """An assertion as a column wants it: its name, kind, value and threshold."""

    column: str
    kind: str
    value: Any
    threshold: float | None = None


def wanted(assertion: Mapping[str, Any]) -> Wanted:
    """Return the column of an assertion whose value is rendered.

    Raises:
        NotConvertedError: There is no such column.
    """
    kind, value = assertion.get("type"), assertion.get("value")
    if not isinstance(kind, str):
        raise NotConvertedError("it has no type")
    if assertion.get("weight") == 0:
        raise NotConvertedError(f"{kind} has the weight 0, so it decides nothing")
    if (more := sorted(assertion.keys() - _KEPT - {"weight", "metric"})) and kind != "similar":
        raise NotConvertedError(f"{kind} is given {', '.join(map(repr, more))}, which a column cannot hold")
    name = kind.removeprefix("not-")
    if name in _JUDGED and kind == name:
        return _judged(name, value, assertion.get("threshold"))
    if name not in _MAY_BE_NEGATED:
        raise NotConvertedError(f"{kind} has no column: {_advice(name)}")
    found = _plain(name, value)
    if kind == name:
        return found
    column = "not_" + ("equals" if found.column.startswith("expected") else found.column)
    return Wanted(column, f"not-{found.kind}", found.value)


def _advice(kind: str) -> str:
    return _AGENT if kind.startswith("trajectory") else _ADVICE.get(kind, "write a metric of your own")


def _judged(kind: str, value: Any, threshold: Any) -> Wanted:
    column = _JUDGED[kind]
    if not isinstance(value, str) or not value.strip():
        raise NotConvertedError(f"{kind} needs a text, not {value_text(value, 60)}")
    if column == "rubric" and threshold is not None:
        raise NotConvertedError(f"{kind} has the threshold {threshold!r}; give it to a `Judge` of your own")
    if column == "rubric":
        return Wanted(column, column, value)
    if threshold is None:
        threshold = _THRESHOLD
    if not isinstance(threshold, int | float) or not 0 < threshold <= 1:
        raise NotConvertedError(
            f"{kind} has the threshold {value_text(threshold, 60)}, which is not above 0 and at most 1"
        )
    return Wanted(column, column, value, float(threshold))


def _plain(kind: str, value: Any) -> Wanted:
    """Return the column of an assertion that is decided without a model."""
    column = kind.replace("-", "_")
    if kind == "equals":
        is_tree = isinstance(value, dict | list)
        return Wanted(
            "expected_json" if is_tree else "expected", "json" if is_tree else kind, value if is_tree else _shown(value)
        )
    if kind == "is-json":
        if value is not None:
            raise NotConvertedError("is-json has a schema: check it in the test")
        return Wanted(column, kind, value=True)
    if kind in _LISTS:
        values = _separated(value) if isinstance(value, str) else value
        if not isinstance(values, list) or not values:
            raise NotConvertedError(f"{kind} needs a list, not {value_text(value, 60)}")
        return Wanted(column, kind, [_shown(each) for each in values])
    if isinstance(value, dict | list) or value in (None, ""):
        raise NotConvertedError(f"{kind} needs a text, not {value_text(value, 60)}")
    if kind == "regex":
        _refuse_other_regex(str(value))
    return Wanted(column, kind, _shown(value))


def _refuse_other_regex(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise NotConvertedError(f"regex {value_text(pattern, 60)} is JavaScript's own: {error}") from None


def _shown(value: Any) -> str:
    """Return a value as promptfoo compares it, as text."""
    return (
        {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)
    )


def _separated(text: str) -> list[str]:
    """Return the values of a text with commas, which may be quoted."""
    rows = list(csv.reader([text], skipinitialspace=True))
    return [cell.strip() for cell in rows[0] if cell.strip()] if rows else []


def from_cell(text: str) -> dict[str, Any]:
    """Return the assertion that a cell of the column `__expected` of a CSV file stands for."""
    for prefix, kind in (
        ("javascript:", "javascript"),
        ("fn:", "javascript"),
        ("eval:", "javascript"),
        ("python:", "python"),
    ):
        if text.startswith(prefix):
            return {"type": kind, "value": text.removeprefix(prefix).strip()}
    if text.startswith("file://"):
        return {"type": "python" if ".py" in text else "javascript", "value": text}
    if text.startswith("grade:"):
        return {"type": "llm-rubric", "value": text.removeprefix("grade:")}
    found = re.match(r"((?:not-)?[a-z]+(?:[-:][a-z0-9]+)*?)(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?$", text)
    if found is None or found[1].removeprefix("not-") not in {*_MAY_BE_NEGATED, *_JUDGED, *_ADVICE}:
        return {"type": "equals", "value": text}
    value = found[3].strip() if found[3] else None
    return {"type": found[1], "value": value, **({"threshold": float(found[2])} if found[2] else {})}
