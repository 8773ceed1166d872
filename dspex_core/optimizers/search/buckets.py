"""What several runs on one example teach: demos of the best, rules from best and worst. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core.optimizers.demos import own_fields

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from dspex_core.optimizers.demos import Demo
    from dspex_core.optimizers.proposers.advice import Advisor
    from dspex_core.optimizers.search.trajectories import Trajectory
    from dspex_core.programs.base import Module
    from dspex_core.signatures.signature import Signature

_FEW_DEMOS = 3  # what the number of demos is compared with where none are added
_LOW, _HIGH = 0.1, 0.9


@dataclass(frozen=True, slots=True)
class Bucket:
    """The runs on one example."""

    runs: tuple[Trajectory, ...]

    @property
    def best(self) -> Trajectory:
        """The run with the highest score, of equal ones the first."""
        return max(self.runs, key=lambda run: run.score)

    @property
    def worst(self) -> Trajectory:
        """The run with the lowest score, of equal ones the last."""
        return min(reversed(self.runs), key=lambda run: run.score)

    @property
    def rank(self) -> tuple[float, float, float]:
        """How much it teaches: the spread of the scores, then the best one, then how far that is above the mean."""
        mean = sum(run.score for run in self.runs) / len(self.runs)
        return self.best.score - self.worst.score, self.best.score, self.best.score - mean


def buckets_of(buckets: Iterable[Bucket]) -> list[Bucket]:
    """Return the buckets, those first that teach most."""
    return sorted(buckets, key=lambda bucket: bucket.rank, reverse=True)


class Lessons:
    """Teaches programs.

    Args:
        rng: Decides everything random.
        advisor: Asks for rules.
        max_demos: About how many demos a predictor has at most; 0 for rules only.
        longest: How many characters a text among a demo's inputs has at most.
        buckets: All buckets of the mini-batch.
    """

    def __init__(
        self, rng: random.Random, advisor: Advisor, max_demos: int, longest: int, buckets: Sequence[Bucket]
    ) -> None:
        self.buckets = buckets
        self._rng, self._advisor, self._max_demos, self._longest = rng, advisor, max_demos, longest
        scores = sorted(run.score for bucket in buckets for run in bucket.runs)
        self._low, self._high = _quantile(scores, _LOW), _quantile(scores, _HIGH)

    def taught(self, program: Module, bucket: Bucket) -> bool:
        """Change a program by one lesson of a bucket; return whether there was one."""
        self._forget(program)
        lessons = [self._add_rules] if self._max_demos == 0 else [self._add_demos, self._add_rules]
        first = self._rng.choice(lessons)
        return first(program, bucket) or any(other(program, bucket) for other in lessons if other != first)

    def _forget(self, program: Module) -> None:
        """Drop some demos, the more there are: the same places of each predictor."""
        most = max((len(predictor.demos) for predictor in program.predictors()), default=0)
        wanted = self._max_demos or _FEW_DEMOS
        count = min(most, max(_poisson(most / wanted, self._rng), int(most >= wanted)))
        dropped = {self._rng.randrange(most) for _ in range(count)}
        for predictor in program.predictors():
            predictor.demos = [demo for place, demo in enumerate(predictor.demos) if place not in dropped]

    def _add_demos(self, program: Module, bucket: Bucket) -> bool:
        """Give each predictor what it did last in the best run."""
        best = bucket.best
        if best.score <= self._low or best.failed:
            return False
        latest = dict(best.steps)
        taught = False
        for path, predictor in program.named_predictors():
            if path in latest:
                step = latest[path]
                demo = own_fields(predictor.signature, {**step.inputs, **step.outputs})
                predictor.demos = [*predictor.demos, _cut(demo, predictor.signature, self._longest)]
                taught = True
        return taught

    def _add_rules(self, program: Module, bucket: Bucket) -> bool:
        """Add to instructions what an LM infers from the best and the worst run."""
        best, worst = bucket.best, bucket.worst
        if best.score <= max(self._low, worst.score) or worst.score >= self._high:
            return False
        rules = self._advisor.advise(program, worst, best)
        for path, predictor in program.named_predictors():
            if path in rules:
                predictor.signature = predictor.signature.append_instructions(rules[path])
        return bool(rules)


def _cut(demo: Demo, signature: type[Signature], longest: int) -> Demo:
    """Return a demo with its long texts cut; values of other types stay what they are."""
    cut = {
        name: f"{value[:longest]} ..."
        for name, value in demo.items()
        if name in signature.input_fields and isinstance(value, str) and len(value) > longest
    }
    return type(demo)({**dict(demo.items()), **cut})


def _quantile(ordered: Sequence[float], fraction: float) -> float:
    """Return a quantile of sorted numbers, between two of them by interpolation."""
    place = fraction * (len(ordered) - 1)
    below, above = math.floor(place), math.ceil(place)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _poisson(mean: float, rng: random.Random) -> int:
    """Draw from a Poisson distribution (Knuth 1969, The Art of Computer Programming, vol. 2, 3.4.1)."""
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
