"""Ending an evaluation as soon as its verdict is settled. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dspex_core.stats.intervals import Interval
from dspex_core.stats.sequential import anytime_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dspex_core.evaluation.case import CaseResult


class Decision(Protocol):
    """The state of a rule in one evaluation."""

    def add(self, score: float) -> None:
        """Count the score of another example."""

    @property
    def verdict(self) -> str | None:
        """The verdict; `None` while it is open."""


class Rule(Protocol):
    """When to stop; `decided(min=0.85)` is one."""

    def start(self, n_total: int | None) -> Decision:
        """Return the state of an evaluation of so many examples."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a rule has decided, and when.

    Args:
        verdict: What it found, such as `"above"` or `"below"`.
        after: The number of examples that settled it. Some more may have been under way, and are among the cases.
        of: The number of examples that there are.
        interval: The 95 % interval of the mean of all of these, valid although the scores have decided when to stop;
            `None` if scores are not between 0 and 1.
    """

    verdict: str
    after: int
    of: int
    interval: Interval | None = None

    def __str__(self) -> str:
        return f"stopped after {self.after} of {self.of} examples: {self.verdict}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        ends = None if self.interval is None else [self.interval.low, self.interval.high]
        return {"verdict": self.verdict, "after": self.after, "of": self.of, "interval": ends}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stopped:
        """Return what `to_json` wrote."""
        ends = data.get("interval")
        return cls(data["verdict"], data["after"], data["of"], None if ends is None else Interval(*ends))


class Deciding:
    """Gives the scores to a rule in the random order in which the examples began.

    The order in which they end will not do: if hard examples take longer, the first to end are not a random sample.

    Args:
        rule: When to stop.
        order: The places of the examples, in their order.
        repeats: The number of attempts at each; their mean is one score.
    """

    def __init__(self, rule: Rule, order: Sequence[int], repeats: int) -> None:
        self._decision = rule.start(len(order))
        self._order = order
        self._repeats = repeats
        self._waiting: dict[int, list[float]] = {}
        self._next: Iterator[int] = iter(order)
        self._turn = next(self._next)
        self._scores: list[float] = []
        self.stopped: Stopped | None = None

    def add(self, case: CaseResult) -> bool:
        """Count a case; return whether the verdict is settled."""
        assert case.index is not None, "a case of an evaluation has a place"
        self._waiting.setdefault(case.index, []).append(case.score.value)
        while self.stopped is None and len(self._waiting.get(self._turn, ())) == self._repeats:
            scores = self._waiting.pop(self._turn)
            self._scores.append(math.fsum(scores) / len(scores))
            self._decision.add(self._scores[-1])
            if self._decision.verdict is not None:
                self.stopped = self._stopped(self._decision.verdict)
            self._turn = next(self._next, -1)
        return self.stopped is not None

    def _stopped(self, verdict: str) -> Stopped:
        total = len(self._order)
        is_bounded = all(0 <= score <= 1 for score in self._scores)
        interval = anytime_interval(self._scores, n_total=total) if is_bounded else None
        return Stopped(verdict, len(self._scores), total, interval)
