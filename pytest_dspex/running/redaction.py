"""The report of a case without what plugins redact. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_dspex.hookspecs.redacting import redacted, redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from pytest_dspex.gates.records import CaseFacts, CaseReport


def redacted_report(report: CaseReport, config: pytest.Config) -> CaseReport:
    """Return the report of a case with its texts redacted; ids, parameters and the columns of gates stay."""
    redact = redactor(config)
    if redact is None:
        return report
    scores = {
        name: score._replace(feedback=redact(score.feedback), details=redacted(score.details, redact))
        for name, score in report.scores.items()
    }
    return replace(report, scores=scores, facts=_redacted_facts(report.facts, redact))


def _redacted_facts(facts: CaseFacts, redact: Callable[[str], str]) -> CaseFacts:
    calls = tuple(
        replace(call, messages=tuple(redacted(dict(each), redact) for each in call.messages), reply=redact(call.reply))
        for call in facts.calls
    )
    return replace(
        facts,
        inputs=redacted(facts.inputs, redact),
        expected=redacted(facts.expected, redact),
        prediction=redacted(facts.prediction, redact),
        calls=calls,
    )
