"""The published form of a session's results, without credentials. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_dspex.reports.document import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_dspex.gates.records import CaseRecord
    from pytest_dspex.gates.scoring import ScoreSummary
    from pytest_dspex.gates.verdicts import Verdict
    from pytest_dspex.optimizing.results import OptimizeResult
    from pytest_dspex.reports.model import Report, Suite

_VERDICTS = {
    "passed": "OK",
    "failed": "FAIL",
    "inconclusive": "INCONCLUSIVE",
    "not evaluated": "NOT EVALUATED",
}
NO_CALL = "it made no LM call"
_RERUN = 20  # the lowest cases that a command runs again


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a document needs to know of its session.

    Args:
        mode: Where the replies came from.
        hide: Returns a text without credentials.
        rerun: Returns the command that runs some node ids again.
    """

    mode: Literal["replay", "record", "live"]
    hide: Callable[[str], str]
    rerun: Callable[[Sequence[str]], str]


def document_of(report: Report, surroundings: Surroundings) -> Document:
    """Return the document of a session's results."""
    clean = _Cleaner(surroundings.hide)
    built = {
        "mode": surroundings.mode,
        "suites": [_suite(suite, report, surroundings) for suite in report.suites],
        "evaluations": [asdict(each) for each in report.evaluations],
        "optimizations": [_optimization(each) for each in report.optimizations],
        "notes": report.notes,
    }
    return Document.model_validate(clean(built))


def word_of(verdict: Verdict) -> str:
    """Return the verdict in the words of reports: OK, FAIL, INCONCLUSIVE or NOT EVALUATED."""
    return _VERDICTS[verdict.status]


class _Cleaner:
    """Makes values fit for JSON and free of credentials; texts that come again, such as prompts, are cleaned once."""

    def __init__(self, hide: Callable[[str], str]) -> None:
        self._hide = hide
        self._known: dict[str, str] = {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            if value not in self._known:
                encodable = value.encode("utf-8", "backslashreplace").decode()  # lone surrogates have no UTF-8 form
                self._known[value] = self._hide(encodable)
            return self._known[value]
        if isinstance(value, dict):
            return {self(name): self(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self(each) for each in value]
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _suite(suite: Suite, report: Report, surroundings: Surroundings) -> dict[str, Any]:
    line, baseline = report.lines.get(suite.test), report.baselines.get(suite.test, {})
    return {
        "test": suite.test,
        "file": suite.test.partition("::")[0],
        "line": None if line is None else line + 1,
        "n": suite.n,
        "passed": suite.passed,
        "missed": suite.missed,
        "errors": suite.errors,
        "skipped": suite.skipped,
        "silent": suite.silent,
        "gates": [_gate(verdict, suite, surroundings) for verdict in suite.verdicts],
        "scores": [_score(score) for score in suite.scores],
        "slices": [_slice(verdict, suite) for verdict in suite.verdicts if verdict.slice],
        "cases": [_case(case, baseline) for case in suite.cases],
    }


def _gate(verdict: Verdict, suite: Suite, surroundings: Surroundings) -> dict[str, Any]:
    worst = [case.record.nodeid for case in verdict.worst] if verdict.status != "passed" else []
    return {
        **_measured(verdict),
        "name": verdict.gate.name,
        "label": verdict.label,
        "slice": dict(verdict.slice),
        "params": dict(verdict.params),
        "before": _number(verdict.drop.before) if verdict.drop else None,
        "p_value": _number(verdict.drop.p_value) if verdict.drop else None,
        "condition": verdict.gate.condition,
        "verdict": word_of(verdict),
        "reason": verdict.reason,
        "unrecorded": suite.unrecorded(verdict.gate.name, within=verdict.slice),
        "worst": worst,
        "rerun": surroundings.rerun(worst[:_RERUN]) if worst else "",
    }


def _score(score: ScoreSummary) -> dict[str, Any]:
    return {**_measured(score), "name": score.name, "unrecorded": score.unrecorded, "skipped": score.skipped}


def _measured(measured: Verdict | ScoreSummary) -> dict[str, Any]:
    interval = measured.interval
    return {
        "mean": _number(measured.mean),
        "low": None if interval is None else _number(interval.low),
        "high": None if interval is None else _number(interval.high),
        "n": measured.rows or measured.n,
        "attempts": measured.n,
        "errors": measured.errors,
    }


def _slice(verdict: Verdict, suite: Suite) -> dict[str, Any]:
    values = [value if isinstance(value, str) else json.dumps(value) for value in verdict.slice.values()]
    return {
        **_measured(verdict),
        "name": verdict.gate.name,
        "unrecorded": suite.unrecorded(verdict.gate.name, within=verdict.slice),
        "column": ", ".join(verdict.slice),
        "value": ", ".join(values),
    }


def _case(case: CaseRecord, baseline: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    facts = case.facts
    before = {score: _number(values[case.case]) for score, values in baseline.items() if case.case in values}
    return {
        "id": case.nodeid,
        "case": case.case,
        "outcome": case.outcome,
        "message": case.message or (NO_CALL if case.facts.uncalled and case.outcome == "pass" else ""),
        "inputs": facts.inputs,
        "expected": facts.expected,
        "got": facts.prediction,
        "scores": {
            name: {"value": _number(score.value), "feedback": score.feedback, "details": dict(score.details or {})}
            for name, score in case.scores.items()
        },
        "columns": facts.columns,
        "params": facts.params,
        "repeat": facts.repeat,
        "spent": asdict(facts.spent),
        "calls": [call.to_json() for call in facts.calls],
        "baseline": {"scores": before} if before else None,
    }


def _optimization(result: OptimizeResult) -> dict[str, Any]:
    candidates = [
        {**asdict(each), "score": _number(each.score), "tokens": each.spent.tokens, "cost": each.spent.dollars or None}
        for each in result.candidates
    ]
    means = {"before": _number(result.before), "after": _number(result.after), "p_value": _number(result.p_value)}
    return {**asdict(result), **means, "candidates": candidates}


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
