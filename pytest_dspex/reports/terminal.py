"""The section "dspex" at the end of pytest's output: a table of scores and gates. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dspex_core.plugin_api import foreign_code
from pytest_dspex.gates.verdicts import show
from pytest_dspex.reports.shown import shown, shown_on_a_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pytest

    from pytest_dspex.gates.records import Evaluation
    from pytest_dspex.gates.scoring import ScoreSummary
    from pytest_dspex.gates.verdicts import Verdict
    from pytest_dspex.reports.model import Report, Suite

_NARROWEST_TEST = 20  # columns that a node id keeps on a narrow terminal


class _Row(NamedTuple):
    test: str
    score: str
    mean: str
    interval: str
    n: str
    errors: str
    gate: str = ""
    verdict: str = ""


_HEADERS = _Row("test", "score", "mean", "95 % interval", "n", "errors", "gate", "verdict")
_ALIGNMENT = _Row("left", "left", "right", "left", "right", "right", "left", "left")


def write(terminalreporter: pytest.TerminalReporter, report: Report) -> None:
    """Write the section, if the report has rows or notes."""
    rows = [*_rows(report)]
    if not rows and not report.notes:
        return
    terminalreporter.section("dspex")
    if rows:
        for line in _table(rows, width=terminalreporter.config.get_terminal_writer().fullwidth):
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


def _rows(report: Report) -> Iterator[_Row]:
    for suite in report.suites:
        yield from (_verdict_row(suite, verdict) for verdict in suite.verdicts)
        gated = {verdict.gate.name for verdict in suite.verdicts}
        yield from (_score_row(suite, score) for score in suite.scores if score.name not in gated)
    yield from (_evaluation_row(evaluation) for evaluation in report.evaluations)


def _verdict_row(suite: Suite, verdict: Verdict) -> _Row:
    name = verdict.label.removeprefix("gate-") or verdict.gate.name
    return _row(suite, name, verdict)._replace(gate=verdict.gate.condition, verdict=verdict.status)


def _score_row(suite: Suite, score: ScoreSummary) -> _Row:
    return _row(suite, score.name, score)


def _row(suite: Suite, name: str, measured: Verdict | ScoreSummary) -> _Row:
    mean = "-" if measured.mean is None else show(measured.mean)
    interval = "-" if measured.interval is None else _show_interval(measured.interval.low, measured.interval.high)
    return _Row(suite.test, name, mean, interval, str(measured.n), str(measured.errors))


def _evaluation_row(evaluation: Evaluation) -> _Row:
    return _Row(
        evaluation.test,
        evaluation.score,
        show(evaluation.mean),
        _show_interval(evaluation.low, evaluation.high),
        str(evaluation.n),
        str(evaluation.errors),
    )


def _show_interval(low: float, high: float) -> str:
    return f"{show(low)} to {show(high)}"


def _table(rows: Sequence[_Row], *, width: int) -> list[str]:
    """Return the lines of the table; node ids are cut on the left so that it fits the width."""
    lines = _draw(rows)
    excess = max(map(len, lines)) - width
    if excess <= 0:
        return lines
    longest = max(len(row.test) for row in rows)
    return _draw([row._replace(test=_cut_left(row.test, max(longest - excess, _NARROWEST_TEST))) for row in rows])


def _draw(rows: Sequence[_Row]) -> list[str]:
    with foreign_code():
        from tabulate import tabulate  # imported only in sessions that have scores

        cells = [[shown_on_a_line(cell) for cell in row] for row in rows]
    table = tabulate(cells, headers=_HEADERS, tablefmt="simple", colalign=_ALIGNMENT, disable_numparse=True)
    return [line.rstrip() for line in table.splitlines()]


def _cut_left(text: str, length: int) -> str:
    return text if len(text) <= length else "..." + text[len(text) - length + 3 :]
