"""What it costs, and what it is worth, to keep the program as it was unless a candidate is ahead of it by a margin.

    python benchmarks/optimizers/choosing.py [runs]

A run is a landscape as in `racing.py`: a program as it was and 6 or 16 candidates on 20, 40 or 100 rows of a valset. A
row has a difficulty that all share, and each pair of program and row an accident of its own. So the score of a program
on new rows is known. `Trials.best` chooses by each margin, in standard errors; 0 is the highest score. The figures are
the mean gain of the chosen program on new rows over the program as it was, in points, and in how many of 100 runs it is
more than two points worse.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from typing import TYPE_CHECKING, NamedTuple

from dspex_core.optimizers.trials import Trial, Trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MARGINS = (0.0, 0.5, 1.0, 1.5, 2.0)
ROWS = (20, 40, 100)
CANDIDATES = (6, 16)
LANDSCAPES: Mapping[str, tuple[float, float]] = {  # how much skill candidates gain, and the deviation of that
    "all are worse": (-0.9, 0.3),
    "most are worse": (-0.6, 0.6),
    "small gains": (0.0, 0.3),
    "large gains": (0.6, 0.4),
}
HARD, ACCIDENT = 1.5, 1.0
WORSE = -0.02
TRUE = statistics.NormalDist(0, math.hypot(HARD, ACCIDENT))


class Figures(NamedTuple):
    """The mean gain, and the share of runs that lose, both in points of 100."""

    gain: float
    losses: float


def gains(draw: random.Random, rows: int, candidates: int, change: tuple[float, float]) -> Iterator[float]:
    """Draw a landscape, and yield the true gain of what each margin chooses."""
    middle = draw.uniform(-1, 2)
    skills = [middle, *(middle + draw.gauss(*change) for _ in range(candidates))]
    hard = [draw.gauss(0, HARD) for _ in range(rows)]
    trials = []
    for number, skill in enumerate(skills, start=1):
        scores = {row: float(skill - each + draw.gauss(0, ACCIDENT) > 0) for row, each in enumerate(hard)}
        trials.append(Trial(number, "", scores, rows))
    for margin in MARGINS:
        best = Trials(trials, unchanged=trials[0], margin=margin).best
        assert best is not None, "all ran on all rows"
        yield TRUE.cdf(skills[best.number - 1]) - TRUE.cdf(middle)


def simulate(runs: int, rows: int, candidates: int, *, landscape: str) -> list[Figures]:
    """Return the figures of each margin."""
    draw = random.Random(f"{landscape} {rows} {candidates}")
    found = zip(*(gains(draw, rows, candidates, LANDSCAPES[landscape]) for _ in range(runs)), strict=True)
    return [Figures(100 * statistics.fmean(of), 100 * statistics.fmean(gain < WORSE for gain in of)) for of in found]


def main(runs: int) -> None:
    """Print a line for each landscape and size."""
    print(f"{runs} runs each; gain in points, and runs of 100 that lose more than two points\n")
    print(
        f"{'landscape':16}{'candidates':>11}{'rows':>5}" + "".join(f"{f'margin {margin:g}':>15}" for margin in MARGINS)
    )
    total = [Figures(0, 0)] * len(MARGINS)
    cells = [(name, count, rows) for name in LANDSCAPES for count in CANDIDATES for rows in ROWS]
    for name, count, rows in cells:
        figures = simulate(runs, rows, count, landscape=name)
        total = [Figures(a.gain + b.gain, a.losses + b.losses) for a, b in zip(total, figures, strict=True)]
        _line(name, str(count), str(rows), figures)
    _line("mean", "", "", [Figures(each.gain / len(cells), each.losses / len(cells)) for each in total])


def _line(name: str, count: str, rows: str, figures: list[Figures]) -> None:
    print(f"{name:16}{count:>11}{rows:>5}" + "".join(f"{each.gain:+9.1f} {each.losses:4.1f}%" for each in figures))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
