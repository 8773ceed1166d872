"""The contract of a proposer: new instructions for one predictor. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.run import Run
    from dspex_core.programs.base import Module


@runtime_checkable
class Proposer(Protocol):
    """Writes instructions. It is a frozen value: what it needs to know of a compile is in the run.

    With the same seed, and the same replies where it asks an LM, it returns the same: it takes its random numbers from
    `run.random`. What it cannot write it leaves out, with a warning; a budget's refusal it lets through.
    """

    def instructions(self, run: Run[Any], path: str, count: int, demos: Sequence[Demo] = ()) -> list[str]:
        """Return new instructions for a predictor of `run.student`, the most promising first.

        Args:
            run: The compile; its trainset is what may be learned from.
            path: The predictor's path, as in `named_predictors`.
            count: How many at most.
            demos: Calls of that predictor that the metric has accepted.

        Returns:
            At most `count` texts, all different, and none the predictor's own.
        """

    def calls(self, student: Module, trainset: Sequence[Any], count: int) -> int:
        """Return how many LM calls it takes at most to write `count` instructions for each predictor."""
