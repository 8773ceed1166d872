"""Failures that many cases share, shown as one block. PYTEST_DONT_REWRITE

A changed prompt makes every case of a test miss its recording, and a wrong key fails each of them. Pytest would show
the same text thousands of times. The process that runs a test notes the cause of such a failure in its report; the
process that writes the summary shows each cause once.
"""

from __future__ import annotations

import copy
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pytest_dspex.reports.shown import shown

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

NOTE = "dspex_cause"  # an attribute of a report, which xdist sends
_SHOWN_APART = 3  # failures of one cause
_DIFFERENT = 10  # misses of one test that each have a cause of their own
_NAMES = 3
_STATS = ("failed", "error")


class Cause(NamedTuple):
    """Why a case failed; equal for all cases that failed for one reason.

    Args:
        function: The node id of the test function.
        kind: "miss" for a request that is not recorded, "error" for any other failure of the library's.
        text: The reason.
    """

    function: str
    kind: str
    text: str


def note(report: pytest.TestReport, cause: Cause) -> None:
    """Note the cause of a failure in its report."""
    vars(report)[NOTE] = list(cause)


class AlikeFailures:
    """Hooks of the process that writes the summary."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Generator[None]:
        """While the summary is written, let each cause that many failures share stand there once."""
        stats = terminalreporter.stats
        kept = {name: stats[name] for name in _STATS if name in stats}
        stats.update({name: _in_blocks(reports) for name, reports in kept.items()})
        try:
            return (yield)
        finally:  # the counts in the last line are those of all failures
            stats.update(kept)


def _in_blocks(reports: Sequence[Any]) -> list[Any]:
    groups: dict[Cause, list[pytest.TestReport]] = {}
    for report in reports:
        if (cause := _cause_of(report)) is not None:
            groups.setdefault(cause, []).append(report)
    groups = _with_the_rest_as_one(groups)
    blocks = {}
    inside: set[int] = set()
    for cause, group in groups.items():
        if len(group) > _SHOWN_APART:
            blocks[id(group[0])] = _block(group[0], cause, group)
            inside.update(map(id, group))
    return [blocks.get(id(each), each) for each in reports if id(each) in blocks or id(each) not in inside]


def _cause_of(report: Any) -> Cause | None:
    noted = vars(report).get(NOTE)
    return Cause(*noted) if noted is not None else None


def _with_the_rest_as_one(groups: dict[Cause, list[pytest.TestReport]]) -> dict[Cause, list[pytest.TestReport]]:
    """Put together the misses of a test that all have causes of their own, but for the first few."""
    rest: dict[str, list[Cause]] = {}
    for cause, group in groups.items():
        if cause.kind == "miss" and len(group) <= _SHOWN_APART:
            rest.setdefault(cause.function, []).append(cause)
    result = dict(groups)
    for function, causes in rest.items():
        if len(causes) > _DIFFERENT:
            together = [report for cause in causes[_SHOWN_APART:] for report in result.pop(cause)]
            result[Cause(function, "miss", "Each differs from the recorded ones in another way.")] = together
    return result


def _block(first: pytest.TestReport, cause: Cause, group: Sequence[pytest.TestReport]) -> pytest.TestReport:
    """Return a report that stands for all of a group."""
    block = copy.copy(first)
    path, line, _ = first.location
    function = cause.function.partition("::")[2].replace("::", ".")
    block.nodeid = cause.function
    block.location = (path, line, f"{function}: {len(group):,} cases")
    block.longrepr = shown(_text(cause, group))
    block.sections = []
    return block


def _text(cause: Cause, group: Sequence[pytest.TestReport]) -> str:
    names = [report.nodeid.removeprefix(cause.function) for report in group[:_NAMES]]
    more = f" and {len(group) - _NAMES:,} more" if len(group) > _NAMES else ""
    which = f"The cases: {', '.join(names)}{more}"
    if cause.kind != "miss":
        return f"{len(group):,} cases of {cause.function} ended with one error:\n{_indented(cause.text)}\n{which}"
    advice = (
        "Record them with `pytest --dspex-record=new`, or call the LM without a cassette with `pytest --dspex-live`."
    )
    reason, _, difference = cause.text.partition("\n")
    if difference:
        reason = f"all differ by:\n{difference}"
    return f"{len(group):,} requests of {cause.function} are not recorded; {reason}\n{which}\n{advice}"


def _indented(text: str) -> str:
    return textwrap.indent(text, "    ")
