"""One collected test as the plugin sees it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core import Example
    from pytest_dspex.collecting.source import DataSource
    from pytest_dspex.gates.records import CaseFacts, Collected, Evaluation, RecordedScore
    from pytest_dspex.programs import ProgramSpec

_LONGEST_LABEL = 200  # characters


@dataclass(slots=True)
class Case:
    """The plugin's data of one test item, with the values that its fixtures record.

    Args:
        function: The node id of the test function, without the case.
        name: The case's id; empty for a test that is not parametrized.
        source: The `dspex_data` marker of the case's row, if it has one.
        programs: The programs that the test uses.
        predictor: The program that makes the fixture `prediction`, if the test uses that.
        scores: The scores that `score` recorded, by name.
        checks: The messages of the failed checks of `check`.
        evaluations: The results of the fixture `evaluate`.
        error: Whether the test failed with an error that is not an assertion.
        is_missed: Whether it failed since a request is not recorded.
        example: The row; for a test of other parameters that uses `prediction`, these.
        collected: The collected facts of the function: its cases and gates.
        place: The place of the item among all that were collected, whatever the order in which they run.
        repeated: Which attempt of a repeated test the item is, from 1; 0 for other tests.
        attempt: 1 while the item runs for the first time, then one more for each rerun.
        facts: The content of the case, once it has run.
    """

    function: str
    name: str
    source: DataSource | None
    programs: tuple[ProgramSpec, ...]
    predictor: ProgramSpec | None = None
    scores: dict[str, RecordedScore] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    error: bool = False
    is_missed: bool = False
    example: Example | None = None
    collected: Collected | None = None
    place: int = 0
    repeated: int = 0
    attempt: int = 0
    facts: CaseFacts | None = None

    @property
    def gated(self) -> set[str]:
        """The names of the scores on which the test has gates."""
        return set() if self.collected is None else {gate.name for gate in self.collected.gates}

    def begin(self) -> None:
        """Forget what an earlier attempt at the test has recorded."""
        self.scores.clear()
        self.checks.clear()
        self.evaluations.clear()

    def let_go(self) -> None:
        """Forget the results, which the reports of the test hold: a session has thousands of cases."""
        self.begin()
        self.facts = None

    def record(self, name: str, value: float, feedback: str = "", *, details: Mapping[str, Any] | None = None) -> None:
        """Record a score; `details` is more about it, as JSON data.

        Raises:
            ConfigurationError: The case has recorded a score of this name before.
        """
        from pytest_dspex.gates.records import RecordedScore  # imported only in sessions that have scores

        if name in self.scores:
            from dspex_core import ConfigurationError  # imported only for an error

            raise ConfigurationError(
                f"the score {name!r} is recorded twice in {self.function}, case {self.name or '(its only one)'!r}: "
                "give the second another name; the scores of `dspex_data(metrics=...)` are recorded already"
            )
        self.scores[name] = RecordedScore(value, feedback, details or None)


CASE = pytest.StashKey[Case]()  # of an item
COLLECTED = pytest.StashKey[dict[str, "Collected"]]()  # of the session's config: the facts of each test function


_DEFINITIONS = pytest.StashKey[dict[str, "Sequence[pytest.FixtureDef[Any]]"]]()  # of a module or class
ATTEMPT = "dspex_attempt"  # the parameter of repeated tests


def fixture_definitions(name: str, item: pytest.Item) -> Sequence[pytest.FixtureDef[Any]]:
    """Return the definitions of a fixture that a test sees, the nearest last.

    They are looked up once for a module or class: it takes longer than a replayed call.
    """
    assert item.parent is not None, "a test has a module or a class"
    known = item.parent.stash.setdefault(_DEFINITIONS, {})
    if name not in known:
        known[name] = item.session._fixturemanager.getfixturedefs(name, item) or ()  # noqa: SLF001  no public way
    return known[name]


def other_parameters(item: pytest.Item) -> dict[str, Any]:
    """Return the parameters of a test item other than its dataset row, such as the model; empty without parameters."""
    callspec = getattr(item, "callspec", None)  # only items of parametrized functions have it
    params = {} if callspec is None else callspec.params
    return {name: value for name, value in params.items() if name not in {"example", ATTEMPT}}


def labels_of(item: pytest.Item) -> dict[str, Any]:
    """Return these parameters as JSON data that is the same in every process, as a `repr` with an address is not."""
    return {name: _label(name, value, item) for name, value in other_parameters(item).items()}


def combinations_of(items: list[pytest.Item]) -> tuple[tuple[dict[str, Any], int], ...]:
    """Return the combinations of the other parameters of a dataset's test, with the number of their cases.

    Without a dataset, the parameters are the cases, and there is one combination.
    """
    counts: dict[str, tuple[dict[str, Any], int]] = {}
    for item in items:
        if item.get_closest_marker("dspex_data") is None:
            return ()
        labels = labels_of(item)
        key = repr(sorted(labels.items()))
        counts[key] = (labels, counts[key][1] + 1 if key in counts else 1)
    return tuple(counts.values()) if len(counts) > 1 else ()


def _label(name: str, value: Any, item: pytest.Item) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[:_LONGEST_LABEL]
    known = getattr(value, "__qualname__", "")
    return known if known and "<" not in known else f"{name}{item.callspec.indices.get(name, 0)}"  # type: ignore[attr-defined]  # as above
