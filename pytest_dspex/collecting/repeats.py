"""`dspex_repeat` and `--dspex-repeat`: each case as several items, one for each attempt. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from dspex_core import ConfigurationError
from pytest_dspex.collecting.case import ATTEMPT, CASE
from pytest_dspex.collecting.problems import report_problem
from pytest_dspex.collecting.relevance import LM_FIXTURES, is_relevant
from pytest_dspex.gates.repeats import Repeat, repeat_from_marker
from pytest_dspex.options import OPTIONS
from pytest_dspex.programs import visible_programs

if TYPE_CHECKING:
    from collections.abc import Iterable

# The attempts that are selected with all others of their case; only they are judged together.
WHOLE = pytest.StashKey[bool]()  # of an item


@dataclass(frozen=True, slots=True)
class Attempt:
    """The parameter of an item: which attempt it is, counted from 1, and the rule for all of them."""

    number: int
    repeat: Repeat

    @property
    def id(self) -> str:
        """The last part of the item's id."""
        return f"{self.number}/{self.repeat.times}"


def generate_attempts(metafunc: pytest.Metafunc) -> None:
    """Parametrize a test with the attempts at each of its cases, after all its other parameters."""
    definition: Any = metafunc.definition
    mark = definition.get_closest_marker("dspex_repeat")
    asked = metafunc.config.stash[OPTIONS].repeat
    try:
        repeat = repeat_from_marker(mark, where=definition.nodeid) if mark is not None else None
    except ConfigurationError as error:
        report_problem(metafunc.config, str(error))
        return
    if asked is not None and (repeat is not None or _uses_lm(definition, metafunc.fixturenames)):
        repeat = (repeat or Repeat(asked)).with_times(asked)
    if repeat is None or repeat.times == 1:
        return
    metafunc.fixturenames.append(ATTEMPT)  # pytest refuses parameters that no fixture or argument has
    attempts = [Attempt(number, repeat) for number in range(1, repeat.times + 1)]
    metafunc.parametrize(ATTEMPT, attempts, ids=[attempt.id for attempt in attempts])


def _uses_lm(definition: pytest.Function, fixturenames: Iterable[str]) -> bool:
    names = set(fixturenames)
    return (
        is_relevant(definition)
        or not names.isdisjoint(LM_FIXTURES)
        or not names.isdisjoint(visible_programs(definition))
    )


def attempt_of(item: pytest.Item) -> Attempt | None:
    """Return which attempt an item is; `None` for a test that is not repeated."""
    callspec = getattr(item, "callspec", None)  # of parametrized functions
    found = callspec.params.get(ATTEMPT) if callspec is not None else None
    return found if isinstance(found, Attempt) else None


def note_whole_cases(items: Iterable[pytest.Item]) -> None:
    """Note which cases are selected with all of their attempts."""
    attempts = [(item, attempt) for item in items if CASE in item.stash and (attempt := attempt_of(item)) is not None]
    counts = Counter(group_of(item, attempt) for item, attempt in attempts)
    for item, attempt in attempts:
        item.stash[WHOLE] = counts[group_of(item, attempt)] == attempt.repeat.times


def group_of(item: pytest.Item, attempt: Attempt) -> str:
    """Return the node id of an item without its attempt, which all attempts at the case share."""
    return item.nodeid.replace(f"-{attempt.id}]", "]").replace(f"[{attempt.id}]", "")
