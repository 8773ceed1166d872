"""How much a `compile` will ask at most, known before it begins. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CompilePlan:
    """The most that a `compile` does.

    Args:
        train_runs: How often it runs the program, or the teacher, on examples of the trainset.
        val_runs: How often it runs a candidate on examples of the valset.
        demos: How many demos a prompt gets.
    """

    train_runs: int = 0
    val_runs: int = 0
    demos: int = 0

    @property
    def runs(self) -> int:
        """How often a program runs in all."""
        return self.train_runs + self.val_runs
