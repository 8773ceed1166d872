"""One collected test as the plugin sees it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_dspex.collecting.parametrize import DataSource
    from pytest_dspex.programs import ProgramSpec


@dataclass(slots=True)
class Case:
    """The plugin's data of one test item, with the values that its fixtures record.

    Args:
        function: The node id of the test function, without the case.
        name: The case's id; empty for a test that is not parametrized.
        source: The test's `dspex_data` marker, if there is one.
        programs: The programs that the test uses.
        predictor: The program that makes the fixture `prediction`, if the test uses that.
        scores: The value and feedback of each score that `score` recorded, by name.
        checks: The messages of the failed checks of `check`.
        evaluations: The results of the fixture `evaluate`, as rows of the report.
        error: Whether the test failed with an error that is not an assertion.
        expected: The collected facts of the function: its cases and gates.
    """

    function: str
    name: str
    source: DataSource | None
    programs: tuple[ProgramSpec, ...]
    predictor: ProgramSpec | None = None
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    evaluations: list[dict[str, Any]] = field(default_factory=list)
    error: bool = False
    expected: Mapping[str, Any] = field(default_factory=dict)

    def to_property(self) -> tuple[str, str]:
        """Return the user property for the item's report; its value is a string, as xdist cannot send all types."""
        record = {
            "case": self.name,
            "function": self.function,
            "scores": self.scores,
            "evaluations": self.evaluations,
            "error": self.error,
            "expected": self.expected,  # sent with each report, as a worker that crashes has no output at its end
        }
        return ("dspex", json.dumps(record))


CASE = pytest.StashKey[Case]()  # of an item
