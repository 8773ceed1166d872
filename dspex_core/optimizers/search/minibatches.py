"""A search that scores most candidates on a few rows, and the promising ones on all. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from dspex_core.optimizers.demos import Student
from dspex_core.optimizers.search.prompts import prompts_of
from dspex_core.optimizers.search.racing import challenge, estimated
from dspex_core.optimizers.trials import mean_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.optimizers.run import Run
    from dspex_core.optimizers.search.parts import Parts
    from dspex_core.optimizers.search.tpe import TPE

Choices = dict[str, int]
_REPEATS = 3  # how often the estimator may propose what is known in full, before it gets something new
_KNOWN = 25  # how many other combinations with known prompts it may propose


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How much is scored.

    Args:
        trials: How many combinations are proposed, after the program as it is.
        minibatch: How many rows one of them is scored on; `None` for the whole valset.
        full_every: After how many minibatches the best of them is scored on the whole valset.
        racing: Whether one that is to be scored on the whole valset is dropped as soon as the best so far is clearly
            better.
    """

    trials: int
    minibatch: int | None = None
    full_every: int = 5
    racing: bool = False

    def runs(self, rows: int) -> int:
        """Return how often a program runs at most, with that many rows in the valset."""
        if self.minibatch is None:
            return rows * (1 + self.trials)
        return rows * (1 + -(-self.trials // self.full_every)) + self.trials * self.minibatch


class MinibatchSearch(Generic[Student]):
    """Searches combinations of parts, as MIPROv2 does.

    The program as it is comes first, on the whole valset. Then each proposal is scored, on a minibatch or on all rows.
    After some minibatches, and at the end, the combination with the best mean that is not known in full is scored on
    the rest of the valset. No prompts run twice on a row, also where two combinations have the same.
    """

    def __init__(self, run: Run[Student], parts: Parts[Student], tpe: TPE, schedule: Schedule) -> None:
        self._run = run
        self._parts = parts
        self._tpe = tpe
        self._schedule = schedule
        self._scores: dict[str, dict[int, float]] = {}  # by the prompts
        self._choices: dict[str, Choices] = {}
        self._worth: dict[str, float] = {}  # what the estimator is given; of dropped ones an estimate
        self._dropped: set[str] = set()

    def best(self) -> Student:
        """Search, and return the best program that ran on the whole valset."""
        run, schedule, rows = self._run, self._schedule, range(len(self._run.validation))
        self._score(dict.fromkeys(self._parts.sizes, 0))
        for number in range(1, schedule.trials + 1):
            choices = self._next()
            if choices is None:
                break
            if schedule.minibatch is None:
                self._score(choices)
            else:
                self._score(choices, sorted(run.random(f"minibatch {number}").sample(rows, schedule.minibatch)))
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
            if choices is not None and not self._is_known(prompts_of(self._parts.make(choices))):
                return choices
        for _ in range(_KNOWN):
            choices = self._tpe.ask()
            if choices is None:
                return None
            prompts = prompts_of(self._parts.make(choices))
            if not self._is_known(prompts):
                return choices
            self._tpe.tell(choices, self._worth[prompts])
        return None

    def _is_known(self, prompts: str) -> bool:
        """Whether nothing more is to be found out about prompts."""
        return prompts in self._dropped or len(self._scores.get(prompts, ())) == len(self._run.validation)

    def _score_promising(self) -> None:
        partial = [prompts for prompts in self._scores if not self._is_known(prompts)]
        if partial:
            self._score(self._choices[max(partial, key=lambda each: mean_of(self._scores[each]))])

    def _score(self, choices: Mapping[str, int], rows: Sequence[int] | None = None) -> None:
        """Score a combination on rows; by default on the whole valset, or until it is dropped."""
        candidate = self._run.candidate(self._parts.name(choices), lambda: self._parts.make(choices), choices)
        prompts = prompts_of(candidate.program)
        candidate.scores.update(self._scores.get(prompts, {}))
        if rows is None and self._schedule.racing:
            trial = challenge(self._run, candidate)
        else:
            candidate.score(rows)
            trial = self._run.close(candidate)
        if rows is None and not trial.is_full:
            self._dropped.add(prompts)
        self._scores[prompts], self._choices[prompts] = candidate.scores, dict(choices)
        self._worth[prompts] = estimated(self._run, trial) if rows is None else trial.score
        if choices:
            self._tpe.tell(choices, self._worth[prompts])
