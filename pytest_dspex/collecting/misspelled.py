"""Markers of the plugin that have no effect as they are written. PYTEST_DONT_REWRITE

Pytest only warns of a marker that it does not know: a misspelled gate would leave the session green.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from pytest_dspex.collecting.problems import report_problem
from pytest_dspex.collecting.relevance import MARKERS, PREFIX

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest


def report_misspelled(item: pytest.Function, cases: Sequence[pytest.Item]) -> None:
    """Report the markers of a test function, and of its cases, that have no effect."""
    function = item.nodeid.partition("[")[0]
    used = dict.fromkeys(mark.name for mark in item.iter_markers() if mark.name.startswith(PREFIX))
    for name in used.keys() - MARKERS:
        if name not in _registered(item.config):
            message = f"{function}: pytest.mark.{name} is not a marker of pytest-dspex"
            report_problem(item.config, f"{message}; {_advice(name, sorted(MARKERS))}")
    for case in cases:
        callspec = getattr(case, "callspec", None)  # of parametrized functions
        for mark in callspec.marks if callspec is not None else ():
            if mark.name in MARKERS:
                report_problem(
                    item.config,
                    f"{function}: {mark.name} stands in `pytest.param(..., marks=...)`, where it has no effect; mark "
                    "the function with it (`where=` limits a gate to some of the cases)",
                )


def _registered(config: pytest.Config) -> set[str]:
    """Return the names of the markers that plugins and the user have registered."""
    return {line.partition(":")[0].partition("(")[0].strip() for line in config.getini("markers")}


def _advice(name: str, known: Sequence[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
