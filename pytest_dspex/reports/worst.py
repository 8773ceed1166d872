"""Cases and their scores as lines of text, the same for gates, evaluations and comparisons. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_dspex.reports.shown import shown_briefly, shown_on_a_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex_core import EvaluationResult

_SHOWN = 5


class ScoredCase(NamedTuple):
    """A case, its score, and what explains the score."""

    name: str
    value: float
    why: str

    def __str__(self) -> str:
        why = f"  {shown_briefly(self.why)}" if self.why else ""
        return f"{shown_on_a_line(self.name)}: {self.value:.4g}{why}"


def scored_cases(result: EvaluationResult) -> list[ScoredCase]:
    """Return the cases of an evaluation."""
    return [ScoredCase(name, case.score.value, case.why) for name, case in zip(result.names, result.cases, strict=True)]


def worst_lines(cases: Iterable[ScoredCase]) -> list[str]:
    """Return a line for each of the lowest scores below 1, and one that counts the rest."""
    worst = sorted((case for case in cases if case.value < 1), key=lambda case: case.value)
    rest = len(worst) - _SHOWN
    more = [f"  ... and {rest} more below 1"] if rest > 0 else []
    return [*(f"  {case}" for case in worst[:_SHOWN]), *more]
