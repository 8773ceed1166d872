"""How often intervals hold the truth, gates raise a false alarm, and early verdicts are wrong, in simulated runs.

Nothing here depends on the machine: the draws have seeds. Where all scores are 0 or 1, the coverage is computed from
the binomial distribution, without draws. A bar that no method can meet is shown with the best of the usual ones.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from dspex_core import decided
from dspex_core.stats import Interval, clustered_interval, mean_interval, paired_p, wilson_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SIZES = (20, 50, 200, 1000)
RATES = (0.5, 0.85, 0.95)
ATTEMPTS = 5
ALIKE = 0.5  # the correlation of the attempts at a row
CONCENTRATION = 4  # of the beta distribution of fractional scores: U-shaped to bell-shaped
LEVELS = (0.94, 0.96)
TOLERANCE = 0.02
SIGNIFICANCE = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="simulated runs of each line")
    parser.add_argument("--only", choices=("coverage", "alarms", "stopping", "speed"), help="a part of it")
    options = parser.parse_args()
    parts = {"coverage": coverage, "alarms": alarms, "stopping": stopping, "speed": speed}
    for name, part in parts.items():
        if options.only in (None, name):
            print(f"\n## {name}", flush=True)
            part(options.runs)
    return 0


def coverage(runs: int) -> None:
    print("| scores | rate | " + " | ".join(f"n={n}" for n in SIZES) + " |\n|---|---|" + "---|" * len(SIZES))
    for kind, covered in (("0 or 1", _binary), ("fractional", _fractional), ("5 attempts a row", _clustered)):
        for rate in RATES:
            cells = [covered(n, rate, runs) for n in SIZES]
            marks = ["" if LEVELS[0] <= round(cell, 3) <= LEVELS[1] else " *" for cell in cells]
            shown = " | ".join(f"{100 * cell:.1f}{mark}" for cell, mark in zip(cells, marks, strict=True))
            print(f"| {kind} | {rate} | {shown} |", flush=True)
    print("\n0 or 1, where Wilson's is not within 94 to 96, with the other usual intervals:")
    for n in SIZES:
        for rate in RATES:
            if not LEVELS[0] <= _binary(n, rate, runs) <= LEVELS[1]:
                rates = {name: _exact(n, rate, interval) for name, interval in _METHODS.items()}
                print(f"n={n}, rate {rate}: " + ", ".join(f"{name} {100 * found:.1f}" for name, found in rates.items()))


def alarms(runs: int) -> None:
    """An unchanged program, 15 % of whose rows are flaky: how often a gate with max_drop=0.02 turns red."""
    print("| scores | " + " | ".join(f"n={n}" for n in SIZES[:3]) + " |\n|---|" + "---|" * 3)
    for kind, drawn in (("0 or 1", _flaky), ("fractional", _noisy), ("5 attempts a row", _flaky_attempts)):
        cells = []
        for n in SIZES[:3]:
            draw = np.random.RandomState(n)
            red = sum(_is_red(drawn(draw, n) - drawn(draw, n)) for _ in range(runs))
            cells.append(f"{100 * red / runs:.2f} %")
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


def stopping(runs: int) -> None:
    """Verdicts of `decided(min=0.85)` on 400 examples, looked at after each."""
    print("| scores | true mean | wrong | calls saved |\n|---|---|---|---|")
    for kind, scores in _datasets():
        mean = sum(scores) / len(scores)
        right = "above" if mean >= 0.85 - 1e-9 else "below"
        draw, wrong, asked = random.Random(7), 0, 0
        for _ in range(runs):
            state = decided(min=0.85).start(len(scores))
            for score in draw.sample(scores, len(scores)):
                state.add(score)
                if state.verdict is not None:
                    break
            asked += state.n
            wrong += state.verdict != right
        saved = 1 - asked / runs / len(scores)
        print(f"| {kind} | {mean:.4f} | {100 * wrong / runs:.2f} % | {100 * saved:.1f} % |", flush=True)


def speed(_: int) -> None:
    draw = np.random.RandomState(0)
    fractional, binary = draw.beta(4, 1, 10_000).tolist(), (draw.random_sample(10_000) < 0.9).astype(float).tolist()
    rows = [fractional[place : place + 5] for place in range(0, 10_000, 5)]
    differences = (draw.random_sample(10_000) - draw.random_sample(10_000)).tolist()
    for name, call in (
        ("interval of 10,000 scores of 0 or 1", lambda: mean_interval(binary)),
        ("interval of 10,000 fractional scores", lambda: mean_interval(fractional)),
        ("interval of 2,000 rows of 5 attempts", lambda: clustered_interval(rows)),
        ("paired test of 10,000 fractional scores", lambda: paired_p(differences)),
    ):
        times = []
        for _ in range(5):
            begun = time.process_time()
            call()
            times.append(time.process_time() - begun)
        print(f"{name}: {1000 * min(times):.1f} ms")


def _binary(n: int, rate: float, _: int) -> float:
    return _exact(n, rate, _METHODS["Wilson"])


def _exact(n: int, rate: float, interval: Callable[[int, int], Interval]) -> float:
    chances = stats.binom.pmf(np.arange(n + 1), n, rate)
    ends = [interval(successes, n) if chance > 1e-9 else None for successes, chance in enumerate(chances)]
    held = [end is not None and end.low <= rate <= end.high for end in ends]
    return float(chances[held].sum())


def _fractional(n: int, rate: float, runs: int) -> float:
    draw = np.random.RandomState(n)
    scores = draw.beta(CONCENTRATION * rate, CONCENTRATION * (1 - rate), (runs, n))
    return _share(rate, (mean_interval(row.tolist()) for row in scores), runs)


def _clustered(n: int, rate: float, runs: int) -> float:
    draw = np.random.RandomState(n)
    rates = draw.beta(rate * (1 - ALIKE) / ALIKE, (1 - rate) * (1 - ALIKE) / ALIKE, (runs, n, 1))
    scores = (draw.random_sample((runs, n, ATTEMPTS)) < rates).astype(float)
    return _share(rate, (clustered_interval(rows.tolist()) for rows in scores), runs)


def _share(rate: float, intervals: Iterator[Interval], runs: int) -> float:
    return sum(interval.low <= rate <= interval.high for interval in intervals) / runs


def _flaky(draw: np.random.RandomState, n: int) -> np.ndarray:
    flaky = np.arange(n) < round(0.15 * n)
    return np.where(flaky, draw.random_sample(n) < 0.5, 1.0)


def _noisy(draw: np.random.RandomState, n: int) -> np.ndarray:
    flaky = np.arange(n) < round(0.15 * n)
    return np.where(flaky, draw.random_sample(n), 1.0)


def _flaky_attempts(draw: np.random.RandomState, n: int) -> np.ndarray:
    """Each session has its own luck with a flaky row, which all of its attempts share."""
    luck = np.where(np.arange(n) < round(0.15 * n), draw.beta(0.5, 0.5, n), 1.0)
    return draw.binomial(ATTEMPTS, luck) / ATTEMPTS


def _is_red(differences: np.ndarray) -> bool:
    """Return what a gate with `max_drop=0.02` says: a drop beyond the tolerance, and one-sided p <= 0.05."""
    if differences.mean() >= -TOLERANCE:
        return False
    return paired_p(differences.tolist()) / 2 <= SIGNIFICANCE


def _datasets() -> Iterator[tuple[str, list[float]]]:
    for passed in (372, 340, 339, 308):
        yield "0 or 1", [1.0] * passed + [0.0] * (400 - passed)
    fractional = np.random.RandomState(3).beta(6, 1, 400)
    for mean in (0.93, 0.85, 0.849):
        low, high = 0.0, 50.0
        for _ in range(60):  # the power that gives the scores this mean
            middle = (low + high) / 2
            low, high = (middle, high) if (fractional**middle).mean() > mean else (low, middle)
        yield "fractional", (fractional**low).tolist()


def _clopper_pearson(successes: int, n: int) -> Interval:
    found = stats.binomtest(successes, n).proportion_ci(method="exact")
    return Interval(float(found.low), float(found.high))


def _jeffreys(successes: int, n: int) -> Interval:
    low, high = stats.beta.ppf([0.025, 0.975], successes + 0.5, n - successes + 0.5)
    return Interval(0.0 if successes == 0 else float(low), 1.0 if successes == n else float(high))


def _mid_p(successes: int, n: int) -> Interval:
    def tail(rate: float) -> float:
        return float(stats.binom.cdf(successes, n, rate) - 0.5 * stats.binom.pmf(successes, n, rate))

    def where(level: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if tail(middle) > level else (low, middle)
        return low

    return Interval(where(0.975) if successes else 0.0, where(0.025) if successes < n else 1.0)


_METHODS: dict[str, Callable[[int, int], Interval]] = {
    "Wilson": wilson_interval,
    "Clopper-Pearson": _clopper_pearson,
    "mid-p": _mid_p,
    "Jeffreys": _jeffreys,
}

if __name__ == "__main__":
    sys.exit(main())
