"""A search that scores most candidates on a few rows, and the promising ones on all. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from dspex_core.optimizers.demos import Student

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.search.parts import Parts
    from dspex_core.optimizers.search.tpe import TPE

Key = tuple[int, ...]
_REPEATS = 3  # how often the estimator may propose what is known in full, before it gets something new


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How much is scored.

    Args:
        trials: How many combinations are proposed, after the program as it is.
        minibatch: How many rows one of them is scored on; `None` for the whole valset.
        full_every: After how many minibatches the best of them is scored on the whole valset.
    """

    trials: int
    minibatch: int | None = None
    full_every: int = 5

    def runs(self, rows: int) -> int:
        """Return how often a program runs at most, with that many rows in the valset."""
        if self.minibatch is None:
            return rows * (1 + self.trials)
        return rows * (1 + -(-self.trials // self.full_every)) + self.trials * self.minibatch


class MinibatchSearch(Generic[Student]):
    """Searches combinations of parts, as MIPROv2 does.

    The program as it is comes first, on the whole valset. Then each proposal is scored, on a minibatch or on all rows.
    After some minibatches, and at the end, the combination with the best mean that is not known in full is scored on
    the rest of the valset. No combination runs twice on a row.
    """

    def __init__(self, run: Run[Student], parts: Parts[Student], tpe: TPE, schedule: Schedule) -> None:
        self._run = run
        self._parts = parts
        self._tpe = tpe
        self._schedule = schedule
        self._scores: dict[Key, dict[int, float]] = {}
        self._choices: dict[Key, dict[str, int]] = {}

    def best(self) -> Student:
        """Search, and return the best program that ran on the whole valset."""
        run, schedule, rows = self._run, self._schedule, range(len(self._run.validation))
        self._score(dict.fromkeys(self._parts.sizes, 0), rows)
        for number in range(1, schedule.trials + 1):
            choices = self._next()
            if choices is None:
                break
            size = len(rows) if schedule.minibatch is None else schedule.minibatch
            self._score(choices, sorted(run.random(f"minibatch {number}").sample(rows, size)))
            if schedule.minibatch is not None and number % schedule.full_every == 0:
                self._score_promising()
        if not (schedule.minibatch is None or schedule.trials % schedule.full_every == 0):
            self._score_promising()
        best = run.best
        assert best is not None, "the program as it is was scored on the whole valset"
        return best

    def _next(self) -> dict[str, int] | None:
        """Return the next combination to score; `None` if there is none that is not known in full."""
        if not self._parts.sizes:
            return None
        for _ in range(0 if self._schedule.minibatch is None else _REPEATS):
            choices = self._tpe.ask(again=True)
            if choices is not None and len(self._scores.get(_key(choices), {})) < len(self._run.validation):
                return choices
        return self._tpe.ask()

    def _score_promising(self) -> None:
        rows = range(len(self._run.validation))
        partial = [key for key, scores in self._scores.items() if len(scores) < len(rows)]
        if partial:
            key = max(partial, key=lambda each: _mean(self._scores[each]))
            self._score(self._choices[key], rows)

    def _score(self, choices: Mapping[str, int], rows: Sequence[int]) -> None:
        key = _key(choices)
        candidate = self._run.candidate(self._parts.name(choices), lambda: self._parts.make(choices), choices)
        candidate.scores.update(self._scores.get(key, {}))
        candidate.score(rows)
        self._run.close(candidate)
        self._scores[key], self._choices[key] = candidate.scores, dict(choices)
        if choices:
            self._tpe.tell(choices, candidate.mean)


def _key(choices: Mapping[str, int]) -> Key:
    return tuple(choices[name] for name in sorted(choices))


def _mean(scores: Mapping[int, float]) -> float:
    return sum(scores.values()) / len(scores) if scores else 0.0
