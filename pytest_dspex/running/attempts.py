"""The report of one attempt at a repeated case: a failure is judged with the other attempts. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_dspex.collecting.case import CASE
from pytest_dspex.collecting.repeats import WHOLE, attempt_of, group_of
from pytest_dspex.gates.repeats import ATTEMPT_PROPERTY
from pytest_dspex.reports.shown import shown_briefly

if TYPE_CHECKING:
    import pytest


def judge_together(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> pytest.TestReport:
    """Return the report of an attempt: its failure does not fail the session, as the verdict over all attempts may.

    An attempt that is selected without the others fails by itself.
    """
    attempt = attempt_of(item)
    if attempt is None or not attempt.repeat.label or not item.stash.get(WHOLE, False) or report.when == "teardown":
        return report
    if report.when == "setup" and report.passed:
        return report
    is_skipped = report.skipped and not hasattr(report, "wasxfail")
    passed, why = None if is_skipped else report.passed, ""
    if report.failed:
        why = shown_briefly(str(call.excinfo.value).partition("\n")[0]) if call.excinfo is not None else "failed"
        report.outcome = "skipped"
        report.wasxfail = f"attempt {attempt.id}: {why}"
    case = item.stash[CASE]
    result = {
        "test": case.function,
        "case": case.name or group_of(item, attempt),
        "group": group_of(item, attempt),
        "number": attempt.number,
        "passed": passed,
        "why": why,
        "repeat": attempt.repeat.to_json(),
        "expected": case.collected.cases if case.collected is not None else 0,
    }
    report.user_properties.append((ATTEMPT_PROPERTY, json.dumps(result)))
    return report
