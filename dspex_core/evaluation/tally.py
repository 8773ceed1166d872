"""The figures of an evaluation, which stay when its cases do not. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dspex_core.evaluation.result import EvaluationResult, Figures

if TYPE_CHECKING:
    from dspex_core.evaluation.case import CaseResult
    from dspex_core.evaluation.options import Keep
    from dspex_core.evaluation.stopping import Stopped


@dataclass(slots=True)
class Collected:
    """What an evaluation has finished so far; each case costs the same, however many there are.

    Args:
        metric: The name of the score.
        keep: Which cases stay in memory.
        repeats: The number of attempts at each example.
    """

    metric: str
    keep: Keep
    repeats: int
    cost: float = 0.0
    errors: int = 0
    total: float = 0.0
    _cases: list[CaseResult] = field(default_factory=list)
    _scores: array[float] = field(default_factory=lambda: array("d"))
    _keys: array[int] = field(default_factory=lambda: array("q"))

    def add(self, case: CaseResult) -> None:
        """Count a case, and keep it if it is to be kept."""
        assert case.index is not None, "a case of an evaluation has a place"
        self.cost += case.usage.cost
        self.errors += case.error is not None
        self.total += case.score.value
        if self.keep == "all":
            self._cases.append(case)
            return
        self._scores.append(case.score.value)
        self._keys.append(case.index * self.repeats + case.attempt - 1)
        if self.keep == "failures" and (case.error is not None or case.score.value < 1):
            self._cases.append(case)

    def __len__(self) -> int:
        return len(self._cases) if self.keep == "all" else len(self._scores)

    @property
    def mean(self) -> float:
        """The mean of the scores so far."""
        return self.total / len(self)

    def result(self, stopped: Stopped | None = None) -> EvaluationResult:
        """Return what has finished, in the order of the dataset."""
        cases = tuple(sorted(self._cases.copy(), key=_place))
        figures = None if self.keep == "all" else self._figures()
        return EvaluationResult(self.metric, cases, figures, stopped)

    def _figures(self) -> Figures:
        keys, scores = self._keys, self._scores
        order = sorted(range(len(scores)), key=keys.__getitem__)
        if self.repeats == 1:
            means = array("d", (scores[place] for place in order))
        else:
            groups: dict[int, list[float]] = {}
            for place in order:
                groups.setdefault(keys[place] // self.repeats, []).append(scores[place])
            means = array("d", (math.fsum(group) / len(group) for group in groups.values()))
        return Figures(means, len(scores), self.errors, self.cost)


def _place(case: CaseResult) -> tuple[int, int]:
    return case.index or 0, case.attempt
