"""What a test claims to test, for those that pass without a call of a model. PYTEST_DONT_REWRITE

A constant, a mock that was left in, or a regular expression in place of a model passes like the program that it stands
for. Only tests that name a program or score a dataset claim one. A test whose fixture of a wider scope has the program,
too, may have its answers from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_dspex.collecting.case import CASE, fixture_definitions

if TYPE_CHECKING:
    import pytest


def subject_of(item: pytest.Item) -> str:
    """Return the names of a test's programs, else that of a test that scores a dataset, else an empty text."""
    case = item.stash[CASE]
    names = getattr(item, "fixturenames", ())  # not every kind of item has fixtures
    is_scored = case.source is not None and "score" in names
    if not (case.programs or is_scored) or "scripted_lm" in names or item.config.getoption("dspex_rejudge"):
        return ""
    programs = {spec.name for spec in case.programs}
    if any(_has_answers(name, programs | {"lm"}, item) for name in names if name not in programs):
        return ""
    return ", ".join(f"`{name}`" for name in sorted(programs)) or f"`{case.function.rpartition('::')[2]}`"


def _has_answers(name: str, programs: set[str], item: pytest.Item) -> bool:
    """Return whether a fixture may have called a program for many tests."""
    definitions = fixture_definitions(name, item)
    return any(each.scope != "function" and not programs.isdisjoint(each.argnames) for each in definitions)
