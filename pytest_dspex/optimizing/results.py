"""What `--dspex-optimize` found for one program, as values that reports show. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

OptimizeOutcome = Literal["improved", "recompiled", "not better", "regressed"]


@dataclass(frozen=True, slots=True)
class Spent:
    """LM calls, their tokens, and their dollars as far as they are known."""

    calls: int = 0
    tokens: int = 0
    dollars: float = 0.0

    def __str__(self) -> str:
        cost = f", ${self.dollars:.4f}" if self.dollars else ""
        return f"{self.calls} LM calls, {self.tokens} tokens{cost}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program that the optimizer has tried, scored on the examples by which it chooses; `low` to `high` are 95 %."""

    name: str
    score: float
    low: float | None
    high: float | None
    n: int | None
    spent: Spent
    is_chosen: bool = False
    is_whole: bool = True  # whether it ran on all of these examples, so that it can be chosen


@dataclass(frozen=True, slots=True)
class PromptChange:
    """What one predictor's prompt says before and after: its instructions, its fields and its demos."""

    predictor: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class OptimizeResult:
    """The recompiled program beside the one in use, on the same held-out examples.

    Args:
        program: The program's name.
        outcome: `"improved"`, `"recompiled"` (it replaces an artifact of an older source), `"not better"` or
            `"regressed"`.
        line: The outcome in one line.
        why: Why a program that scores better is not taken; empty otherwise.
        metric: The name of the score.
        n: The number of held-out examples.
        before: The mean of the program in use.
        after: The mean of the recompiled one.
        p_value: Of the paired difference, two-sided.
        lost: For a regression, a line for each example on which the recompiled program scores less.
        look: How often the held-out examples have been consulted for this program, this time included.
        is_stored: Whether the recompiled program is the artifact now.
        candidates: The optimizer's leaderboard, in the order of its tries.
        prompts: How the prompts differ.
        spent: All LM calls of the run.
    """

    program: str
    outcome: OptimizeOutcome
    line: str
    why: str
    metric: str
    n: int
    before: float
    after: float
    p_value: float
    lost: tuple[str, ...]
    look: int
    is_stored: bool
    candidates: tuple[Candidate, ...]
    prompts: tuple[PromptChange, ...]
    spent: Spent

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> OptimizeResult:
        """Return what `to_json` wrote."""
        candidates = tuple(Candidate(**{**each, "spent": Spent(**each["spent"])}) for each in data["candidates"])
        prompts = tuple(PromptChange(**each) for each in data["prompts"])
        parts = {"candidates": candidates, "prompts": prompts, "spent": Spent(**data["spent"])}
        return cls(**{**data, "lost": tuple(data["lost"]), **parts})
