"""Demos from labels. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dspex_core.optimizers.checks import warn_without_demos
from dspex_core.optimizers.contract import Optimizer
from dspex_core.optimizers.demos import Student, drawn, labeled_demos, seeded, without_demos
from dspex_core.optimizers.plan import CompilePlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.evaluation.run import Metric
    from dspex_core.example import Example
    from dspex_core.optimizers.run import Run


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
    takes_teacher = False
    _needs_inputs = False

    def planned_runs(self, trainset: Sequence[Example], valset: Sequence[Example] | None) -> CompilePlan:
        """Return how often it runs a program at most."""
        return CompilePlan(demos=min(self.k, len(trainset)))

    def _compile(self, run: Run[Student], *, sample: bool = True) -> Student:
        """Return the student with demos; the valset and the teacher have no part in it.

        Args:
            run: The run. A predictor takes its own fields of the examples, and passes over those that have none of its
                inputs or none of its outputs.
            sample: Whether to draw the demos at random; else they are the first `k`.

        Raises:
            OptimizationError: `k` is below 1.
        """
        if self.k < 1:
            raise run.failure(f"k must be at least 1, not {self.k!r}")
        program, rng = without_demos(run.student), seeded(run.seed)
        for predictor in program.predictors():
            demos = labeled_demos(predictor.signature, run.trainset)
            predictor.demos = drawn(demos, self.k, rng) if sample else demos[: self.k]
        warn_without_demos(program, run.trainset)
        return program
