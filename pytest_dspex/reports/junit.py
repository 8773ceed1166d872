"""What JUnit XML and other readers of pytest's reports see of a case: a property for each score. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dspex.gates.records import PROPERTY, CaseReport
from pytest_dspex.reports.shown import shown_on_a_line

if TYPE_CHECKING:
    import pytest

    from pytest_dspex.gates.verdicts import Verdict


def show_scores(report: pytest.TestReport, results: str, *, is_read: bool) -> None:
    """Replace a case's results, which only this plugin can read, by a property for each score.

    Args:
        report: The report of a phase.
        results: The text of the item's `CaseReport`; empty if it has none.
        is_read: Whether JUnit XML is written; it takes the properties of the last phase.
    """
    others = [pair for pair in report.user_properties if pair[0] != PROPERTY]
    if is_read and results and report.when == "teardown":
        scores = CaseReport.from_text(results).scores
        others += [(f"score:{shown_on_a_line(name)}", f"{score.value:.6g}") for name, score in scores.items()]
    report.user_properties = others


def gate_properties(verdict: Verdict) -> list[tuple[str, object]]:
    """Return the properties of the report of a gate."""
    numbers = {"mean": verdict.mean}
    if verdict.interval is not None:
        numbers |= {"low": verdict.interval.low, "high": verdict.interval.high}
    shown = [(name, f"{value:.6g}") for name, value in numbers.items() if value is not None]
    return [("verdict", verdict.status), *shown, ("n", str(verdict.rows or verdict.n)), ("errors", str(verdict.errors))]
