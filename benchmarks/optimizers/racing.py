"""The runs that a race of candidates saves, and the score that it loses, against scoring each on the whole valset.

    python benchmarks/optimizers/racing.py [runs]

A run is a landscape of 16 to 19 candidates, as random search has them, on 20 to 100 rows. A candidate has a skill, a
row a difficulty that all candidates share, and each pair an accident of its own, which is fixed, as at temperature 0.
So the score that a candidate has on new rows is known. The first candidate, the uncompiled program, is worse. How far
candidates lie apart is drawn, too: from nearly equal ones to a standard deviation of 20 points.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from typing import TYPE_CHECKING, NamedTuple

from dspex_core.optimizers.search.racing import contest
from dspex_core.stats import best_of

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS = (20, 50, 100)
SPREADS = (0.1, 0.3, 0.6)
HARD, ACCIDENT = 1.5, 1.0
RESAMPLES = 200


class Contender:
    """A candidate whose scores are known."""

    def __init__(self, scores: Sequence[float], true: float) -> None:
        self.known = scores
        self.true = true
        self.scores: dict[int, float] = {}

    def score(self, rows: Sequence[int] | None = None) -> None:
        """Take the scores of rows."""
        self.scores.update((row, self.known[row]) for row in (range(len(self.known)) if rows is None else rows))

    @property
    def mean(self) -> float:
        """The score on the whole valset."""
        return statistics.fmean(self.known)


class Outcome(NamedTuple):
    """The outcome of one run; scores are shares.

    Args:
        share: How many of all rows of all candidates were run.
        lost: How much lower the true score of the chosen program is than that of full search's.
        lost_on_valset: The same of the score on the valset.
        half_interval: Half of the 95 % interval of full search's score.
        raw: How far the score on the valset lies above the true one, with a race.
        corrected: The same of the corrected score.
        corrected_full: The same of the corrected score without a race.
    """

    share: float
    lost: float
    lost_on_valset: float
    half_interval: float
    raw: float
    corrected: float
    corrected_full: float


def landscape(draw: random.Random, rows: int, spread: float) -> list[Contender]:
    """Draw candidates."""
    middle = draw.uniform(-1, 1.2)
    skills = [middle + draw.gauss(0, spread) for _ in range(draw.randint(16, 19))]
    skills[0] -= draw.random()
    hard = [draw.gauss(0, HARD) for _ in range(rows)]
    normal = statistics.NormalDist(0, math.hypot(HARD, ACCIDENT))
    return [
        Contender([float(skill - each + draw.gauss(0, ACCIDENT) > 0) for each in hard], normal.cdf(skill))
        for skill in skills
    ]


def simulate(seed: int) -> Outcome:
    """Run one race."""
    draw = random.Random(seed)
    rows = ROWS[seed % 3]
    candidates = landscape(draw, rows, SPREADS[seed // 3 % 3])
    contest(iter(candidates), draw.sample(range(rows), rows), close=lambda _: None)
    full = max(candidates, key=lambda each: each.mean)
    raced = max((each for each in candidates if len(each.scores) == rows), key=lambda each: each.mean)
    table = [[each.scores.get(row) for row in range(rows)] for each in candidates]
    return Outcome(
        share=sum(len(each.scores) for each in candidates) / (rows * len(candidates)),
        lost=full.true - raced.true,
        lost_on_valset=full.mean - raced.mean,
        half_interval=1.96 * math.sqrt(full.mean * (1 - full.mean) / rows),
        raw=raced.mean - raced.true,
        corrected=best_of(table, resamples=RESAMPLES).corrected - raced.true,
        corrected_full=best_of([each.known for each in candidates], resamples=RESAMPLES).corrected - full.true,
    )


def main(runs: int) -> None:
    """Print the figures by the number of rows, and of all."""
    print(f"{runs} runs; points of 100\n")
    print("rows  runs made  true score lost  valset score lost  within the interval  too high: raw  corrected (full)")
    found = [(ROWS[seed % 3], simulate(seed)) for seed in range(runs)]
    for name, chosen in [*((str(rows), (rows,)) for rows in ROWS), ("all", ROWS)]:
        of = [outcome for rows, outcome in found if rows in chosen]
        mean = Outcome(*(statistics.fmean(column) for column in zip(*of, strict=True)))
        within = statistics.fmean(each.lost_on_valset <= each.half_interval + 1e-9 for each in of)
        error = 196 * statistics.stdev(each.lost for each in of) / math.sqrt(len(of))
        print(
            f"{name:>4} {mean.share:10.1%} {100 * mean.lost:+9.2f} ±{error:.2f} {100 * mean.lost_on_valset:+18.2f}"
            f" {within:20.1%} {100 * mean.raw:+14.1f} {100 * mean.corrected:+10.1f} ({100 * mean.corrected_full:+.1f})"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
