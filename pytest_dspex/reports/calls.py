"""`--dspex-show`: the prompts and the raw replies of cases, on the terminal. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from pytest_dspex.reports.shown import shown, shown_on_a_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_dspex.gates.records import CaseRecord, LMCall
    from pytest_dspex.reports.model import Report

_MOST = 20  # cases


def write(terminalreporter: pytest.TerminalReporter, report: Report) -> None:
    """Write the calls of the cases: of those that did not pass or scored lowest first, if there are many."""
    cases = [case for suite in report.suites for case in suite.cases if case.facts.calls]
    if not cases:
        return
    kept = cases if len(cases) <= _MOST else sorted(cases, key=_rank)[:_MOST]
    terminalreporter.section("dspex: LM calls")
    for case in kept:
        terminalreporter.write_line(shown_on_a_line(case.nodeid), bold=True)
        for line in _lines(case):
            terminalreporter.write_line(line)
    if len(cases) > len(kept):
        terminalreporter.write_line(
            f"... and the calls of {len(cases) - len(kept)} more cases; select fewer to see them"
        )


def _rank(case: CaseRecord) -> tuple[bool, float]:
    return case.outcome == "pass", min((score.value for score in case.scores.values()), default=0.0)


def _lines(case: CaseRecord) -> Iterator[str]:
    for place, call in enumerate(case.facts.calls, 1):
        yield f"  call {place}: {shown_on_a_line(_facts(call))}"
        for message in call.messages:
            yield f"    [{shown_on_a_line(message['role'])}]"
            yield _indented(message["content"])
        yield "    [reply]" if call.source != "failed" else "    [no reply: the call failed]"
        yield _indented(call.reply)


def _facts(call: LMCall) -> str:
    facts = [call.model, call.source, f"{call.prompt_tokens} + {call.completion_tokens} tokens"]
    return ", ".join([*facts, *([f"${call.cost:.3g}"] if call.cost is not None else [])])


def _indented(text: str) -> str:
    return textwrap.indent(shown(text), " " * 6)
