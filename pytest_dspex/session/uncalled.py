"""Tests that passed without an LM call, in one line for each of the programs that they name. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_dspex.gates.records import CaseRecord

_SHOWN = 5


def uncalled_lines(cases: Iterable[CaseRecord]) -> list[str]:
    """Return the lines, in the order of the cases."""
    found: dict[str, list[str]] = {}
    for case in cases:
        if case.outcome == "pass" and case.facts.uncalled:
            found.setdefault(case.facts.uncalled, []).append(case.nodeid)
    return [_line(subject, nodeids) for subject, nodeids in found.items()]


def _line(subject: str, nodeids: list[str]) -> str:
    rest = len(nodeids) - _SHOWN
    names = ", ".join(nodeids[:_SHOWN]) + (f", and {rest} more" if rest > 0 else "")
    tests = "1 test" if len(nodeids) == 1 else f"{len(nodeids)} tests"
    return f"{tests} of {subject} passed and made no LM call (a constant, a mock, a cache of your own?): {names}"
