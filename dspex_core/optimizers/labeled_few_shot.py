"""Demos from labels. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dspex_core.optimizers.contract import Optimizer, Student
from dspex_core.optimizers.demos import drawn, labeled_demos, seeded, without_demos
from dspex_core.optimizers.plan import CompilePlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.programs.base import Module


@dataclass(frozen=True, repr=False)
class LabeledFewShot(Optimizer):
    """Gives each predictor `k` training examples as demos. It calls no LM.

    Args:
        k: How many demos a predictor gets; fewer when there are fewer.
        seed: Decides which ones, and in which order.
    """

    k: int = 16
    seed: int = 0
    metric: Metric | None = field(default=None, init=False)

    def plan(self, student: Module, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return the most that `compile` would do with these examples."""
        return CompilePlan(demos=min(self.k, len(trainset)))

    def compile(
        self,
        student: Student,
        *,
        trainset: Sequence[Example],
        valset: Sequence[Example] | None = None,
        teacher: Module | None = None,
        sample: bool = True,
    ) -> Student:
        """Return the student with demos; `valset` and `teacher` have no part in it.

        Args:
            student: The program to improve.
            trainset: The examples; a predictor takes its own fields of them, and passes over
                those that have none of its inputs or none of its outputs.
            valset: Not used.
            teacher: Not used.
            sample: Whether to draw the demos at random; else they are the first `k`.

        Raises:
            OptimizationError: `k` is below 1, or the trainset is empty.
        """
        with self.compiling(student, trainset, needs_inputs=False) as attributes:
            if self.k < 1:
                raise self.failure(f"k must be at least 1, not {self.k!r}", trainset)
            program, rng = without_demos(student), seeded(self.seed)
            for predictor in program.predictors():
                demos = labeled_demos(predictor.signature, trainset)
                predictor.demos = drawn(demos, self.k, rng) if sample else demos[: self.k]
            attributes["result"] = program
        return program
