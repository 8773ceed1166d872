"""The section "dspex" at the end of pytest's output: a table of scores and gates. PYTEST_DONT_REWRITE

The node id of a test stands on a line of its own, whole, above the rows of its scores: at any width, tests of two files
look different.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dspex_core.plugin_api import foreign_code
from pytest_dspex.gates.verdicts import show
from pytest_dspex.reports.numbers import shown_interval, shown_score
from pytest_dspex.reports.shown import shown, shown_on_a_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from pytest_dspex.gates.records import Evaluation
    from pytest_dspex.gates.scoring import ScoreSummary
    from pytest_dspex.gates.verdicts import Verdict
    from pytest_dspex.reports.model import Report, Suite

_INDENT = "  "


class _Row(NamedTuple):
    score: str
    mean: str
    interval: str
    n: str
    errors: str
    unrecorded: str
    gate: str = ""
    verdict: str = ""


_HEADERS = _Row("score", "mean", "95 % interval", "n", "errors", "no score", "gate", "verdict")
_ALIGNMENT = _Row("left", "right", "left", "right", "right", "right", "left", "left")
_LEFT_OUT = ("errors", "no score")  # columns that are left out where they say nothing


def write(terminalreporter: pytest.TerminalReporter, report: Report) -> None:
    """Write the section, if the report has rows or notes."""
    groups = [(test, rows) for test, rows in _groups(report) if rows]
    if not groups and not report.notes:
        return
    terminalreporter.section("dspex")
    for line in _table(groups) if groups else ():
        terminalreporter.write_line(line)
    for suite in report.suites:
        for verdict in suite.verdicts:
            if verdict.status != "passed":
                line = shown_on_a_line(f"{suite.test}[{verdict.label}] {verdict.status}: {verdict.reason}")
                terminalreporter.write_line(line, red=verdict.status == "failed", yellow=verdict.status != "failed")
        for each in suite.pairings:
            means = f"{each.first} {show(each.first_mean)}, {each.second} {show(each.second_mean)}"
            terminalreporter.write_line(
                shown_on_a_line(f"{suite.test} {each.score}: {means}, n={each.n}, p={show(each.p_value)}")
            )
    for note in report.notes:
        terminalreporter.write_line(shown(note))


def _groups(report: Report) -> Iterator[tuple[str, list[_Row]]]:
    """Yield each test with its rows."""
    for suite in report.suites:
        gated = {verdict.gate.name for verdict in suite.verdicts}
        rows = [_verdict_row(suite, verdict) for verdict in suite.verdicts]
        rows += [
            _row(score.name, score, unrecorded=score.unrecorded) for score in suite.scores if score.name not in gated
        ]
        yield suite.test, rows
    evaluations: dict[str, list[_Row]] = {}
    for each in report.evaluations:
        evaluations.setdefault(each.test, []).append(_evaluation_row(each))
    yield from evaluations.items()


def _verdict_row(suite: Suite, verdict: Verdict) -> _Row:
    name = verdict.label.removeprefix("gate-") or verdict.gate.name
    row = _row(name, verdict, unrecorded=suite.unrecorded(verdict.gate.name, within=verdict.slice))
    return row._replace(gate=verdict.gate.condition, verdict=verdict.status)


def _row(name: str, measured: Verdict | ScoreSummary, *, unrecorded: int) -> _Row:
    low, high = (None, None) if measured.interval is None else (measured.interval.low, measured.interval.high)
    mean = shown_score(measured.mean, low=low, high=high)
    n = f"{measured.rows} ({measured.n})" if 0 < measured.rows < measured.n else str(measured.n)  # rows and attempts
    return _Row(name, mean, shown_interval(low, high), n, str(measured.errors), str(unrecorded))


def _evaluation_row(each: Evaluation) -> _Row:
    mean = shown_score(each.mean, low=each.low, high=each.high)
    return _Row(each.score, mean, shown_interval(each.low, each.high), str(each.n), str(each.errors), "0")


def _table(groups: Sequence[tuple[str, list[_Row]]]) -> Iterator[str]:
    """Yield the lines of the table; a column of counts that are all 0 is left out."""
    rows = [row for _, own in groups for row in own]
    kept = [
        place
        for place, header in enumerate(_HEADERS)
        if any(row[place] not in ("", "0") for row in rows) or header not in (*_LEFT_OUT, "gate", "verdict")
    ]
    headers, rule, *lines = _draw(rows, kept)
    yield _INDENT + headers
    yield _INDENT + rule
    place = 0
    for test, own in groups:
        yield shown_on_a_line(test)
        yield from (_INDENT + line for line in lines[place : place + len(own)])
        place += len(own)


def _draw(rows: Sequence[_Row], kept: Sequence[int]) -> list[str]:
    with foreign_code():
        from tabulate import tabulate  # imported only in sessions that have scores

    cells = [[shown_on_a_line(row[place]) for place in kept] for row in rows]
    headers, alignment = ([each[place] for place in kept] for each in (_HEADERS, _ALIGNMENT))
    table = tabulate(cells, headers=headers, tablefmt="simple", colalign=alignment, disable_numparse=True)
    return [line.rstrip() for line in table.splitlines()]
