"""Cases by example, whose attempts are one observation together. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.example import Example

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.evaluation.case import CaseResult


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """All attempts at one example.

    Args:
        name: Its id, with its place if others have the same id.
        cases: The attempts, in their order.
    """

    name: str
    cases: tuple[CaseResult, ...]

    @property
    def example(self) -> Example:
        """The row."""
        return self.cases[0].example

    @property
    def scores(self) -> tuple[float, ...]:
        """The score of each attempt."""
        return tuple(case.score.value for case in self.cases)

    @property
    def mean(self) -> float:
        """The mean score of the attempts."""
        return math.fsum(self.scores) / len(self.cases)

    @property
    def errors(self) -> tuple[CaseResult, ...]:
        """The attempts that failed."""
        return tuple(case for case in self.cases if case.error is not None)


def by_example(cases: Sequence[CaseResult]) -> tuple[ExampleResult, ...]:
    """Return the examples of cases in the order of the first attempts; those without a place are one each."""
    groups: dict[tuple[str, int], list[CaseResult]] = {}
    for position, case in enumerate(cases):
        key = ("at", position) if case.index is None else ("of", case.index)
        groups.setdefault(key, []).append(case)
    ids = [id_of(attempts[0].example) for attempts in groups.values()]
    count = Counter(ids)
    named = []
    for number, (name, (kind, place), attempts) in enumerate(zip(ids, groups, groups.values(), strict=True)):
        at = place + 1 if kind == "of" else number + 1
        unique = f"example {at}" if name is None else name if count[name] == 1 else f"{name} (example {at})"
        named.append(ExampleResult(unique, tuple(attempts)))
    return tuple(named)


def id_of(example: Any) -> str | None:
    """Return the id of an example; those of other libraries have none."""
    return example.id if isinstance(example, Example) else None
