"""The report as Markdown: for a pull request's comment, or the summary of a CI job. PYTEST_DONT_REWRITE

Texts of rows, replies and errors cannot form markup, links or mentions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_dspex.reports.document import SliceRow
from pytest_dspex.reports.numbers import shown_interval, shown_score
from pytest_dspex.reports.shown import shown, shown_briefly, shown_fields, shown_numbers, shown_on_a_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_dspex.reports.document import (
        CaseRow,
        Document,
        EvaluationRow,
        GateRow,
        OptimizationRow,
        ScoreRow,
        SuiteRow,
    )

_MARKUP = re.compile(r"[\\`*_{}\[\]()#+!|~^$]")
_NAMED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", ":": "&#58;"}  # a colon makes addresses links
_SHOWN = 10  # cases of a gate
_SIGNS = {"OK": "✅ OK", "FAIL": "❌ FAIL", "INCONCLUSIVE": "⚠️ INCONCLUSIVE", "NOT EVALUATED": "⚠️ NOT EVALUATED"}


def text_of(document: Document) -> str:
    """Return the whole report."""
    parts = ["# pytest-dspex report", *_gates(document), *_scores(document), *_cases(document)]
    parts += [*_evaluations(document.evaluations), *_optimizations(document.optimizations)]
    if document.notes:
        parts.append("## Notes\n\n" + "\n".join(f"- {escaped(note)}" for note in document.notes))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Return a text as one line of Markdown that shows just this text."""
    line = _MARKUP.sub(lambda match: f"\\{match[0]}", shown_on_a_line(text))
    line = "".join(_NAMED.get(character, character) for character in line)
    return re.sub(r"^([-=.]|\d+\.)", lambda match: f"&#{ord(match[0][0])};{match[0][1:]}", line)


def _gates(document: Document) -> Iterator[str]:
    rows = [_gate_cells(suite, gate) for suite in document.suites for gate in suite.gates]
    if rows:
        headers = ("verdict", "test", "score", "must be", "mean", "95 % interval", "n", "errors", "no score")
        yield "## Gates\n\n" + _table(headers, rows)
    for suite in document.suites:
        for gate in suite.gates:
            if gate.verdict != "OK":
                yield f"**{escaped(suite.test)}, {escaped(gate.name)}**: {escaped(gate.reason)}"


def _gate_cells(suite: SuiteRow, gate: GateRow) -> list[str]:
    mean = shown_score(gate.mean, low=gate.low, high=gate.high)
    counts = [_counted(gate), str(gate.errors), str(gate.unrecorded)]
    texts = [escaped(text) for text in (suite.test, gate.name, gate.condition)]
    return [_SIGNS[gate.verdict], *texts, mean, shown_interval(gate.low, gate.high), *counts]


def _scores(document: Document) -> Iterator[str]:
    rows = []
    for suite in document.suites:
        for score in (*suite.scores, *suite.slices):
            name = f"{score.name} ({score.column} = {score.value})" if isinstance(score, SliceRow) else score.name
            mean = shown_score(score.mean, low=score.low, high=score.high)
            counts = [_counted(score), str(score.errors), str(score.unrecorded), str(score.skipped)]
            rows.append([escaped(suite.test), escaped(name), mean, shown_interval(score.low, score.high), *counts])
    if rows:
        headers = ("test", "score", "mean", "95 % interval", "n", "errors", "no score", "skipped")
        yield "## Scores\n\n" + _table(headers, rows)


def _cases(document: Document) -> Iterator[str]:
    """Yield the worst cases of each gate that did not pass, and the command that runs them again."""
    for suite in document.suites:
        by_id = {case.id: case for case in suite.cases}
        for gate in suite.gates:
            worst = [by_id[nodeid] for nodeid in gate.worst if nodeid in by_id]
            if gate.verdict == "OK" or not worst:
                continue
            rows = [_case_cells(case, gate.name) for case in worst[:_SHOWN]]
            more = f"\n\n{len(worst) - _SHOWN} more" if len(worst) > _SHOWN else ""
            headers = ("case", "score", "inputs", "expected", "got", "feedback")
            yield f"## Lowest cases of {escaped(suite.test)}, {escaped(gate.name)}\n\n{_table(headers, rows)}{more}"
            if gate.rerun:
                yield f"Run them again:\n\n{_block(gate.rerun)}"


def _case_cells(case: CaseRow, score: str) -> list[str]:
    recorded = case.scores.get(score)
    value = "-" if recorded is None or recorded.value is None else f"{recorded.value:.4g}"
    why = " ".join(filter(None, [recorded.feedback, shown_numbers(recorded.details)])) if recorded else ""
    texts = [shown_fields(case.inputs), shown_fields(case.expected), shown_fields(case.got), why or case.message]
    return [escaped(case.case or case.id), value, *(escaped(shown_briefly(text)) for text in texts)]


def _evaluations(evaluations: Sequence[EvaluationRow]) -> Iterator[str]:
    rows = []
    for each in evaluations:
        mean = shown_score(each.mean, low=each.low, high=each.high)
        interval = shown_interval(each.low, each.high)
        rows.append([escaped(each.test), escaped(each.score), mean, interval, str(each.n), str(each.errors)])
    if rows:
        headers = ("test", "metric", "mean", "95 % interval", "n", "errors")
        yield "## Evaluations within tests\n\n" + _table(headers, rows)


def _optimizations(optimizations: Sequence[OptimizationRow]) -> Iterator[str]:
    for each in optimizations:
        yield f"## Optimization of {escaped(each.program)}\n\n{escaped(each.line)}"
        if each.why:
            yield escaped(each.why)
        if each.candidates:
            best = sorted(each.candidates, key=lambda row: (row.score is None, -(row.score or 0)))
            rows = [
                [
                    escaped(row.name) + (" (chosen)" if row.is_chosen else ""),
                    "-" if row.score is None else f"{row.score:.4g}",
                    "-" if row.tokens is None else str(row.tokens),
                    "-" if row.cost is None else f"${row.cost:.3g}",
                ]
                for row in best
            ]
            yield _table(("candidate", "score", "tokens", "cost"), rows)


def _counted(measured: GateRow | ScoreRow) -> str:
    """Return the number of rows, and behind it that of attempts, if there are more."""
    return f"{measured.n} ({measured.attempts})" if measured.n < measured.attempts else str(measured.n)


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _block(text: str) -> str:
    """Return a text in a fence that it does not contain."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}console\n{shown(text)}\n{fence}"
