"""Repeated runs of --dspex-optimize on an unchanged program, with noise: wrongly accepted programs, and drift.

    python benchmarks/held_out.py [sequences]

A sequence is 200 runs on the same held-out examples. Each example is answered right with a probability of its own, anew
in each run, as by a model at temperature 1. The candidate of a run is no better than the program in use: its true
accuracy is the same, or up to 2 points lower. Two rules decide: the plugin's, and "better by any margin".
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from typing import TYPE_CHECKING, NamedTuple

from dspex_core.evaluation.compare import compare_scores
from pytest_dspex.optimizing.decision import decide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex_core.evaluation.compare import Comparison

RUNS = 200
EXAMPLES = 100
WORSE = 0.02  # the most that a candidate is worse


class Outcome(NamedTuple):
    """The outcome of one sequence of runs.

    Args:
        accepted: How many candidates were accepted; none is better than the program in use.
        drift: How far the held-out score that the artifact reports at the end lies above the true accuracy of the
            program that it holds, in standard errors of a score.
        loss: How much true accuracy was lost.
    """

    accepted: int
    drift: float
    loss: float


def honest(comparison: Comparison, look: int) -> bool:
    """Decide as the plugin does."""
    return decide(comparison, look) == "improved"


def greedy(comparison: Comparison, look: int) -> bool:  # noqa: ARG001  the contract of a rule
    """Accept whatever is better by any margin."""
    return comparison.difference > 0


def simulate(rule: Callable[[Comparison, int], bool], *, seed: int, runs: int = RUNS, n: int = EXAMPLES) -> Outcome:
    """Run one sequence."""
    draw = random.Random(seed)
    base = [draw.betavariate(4, 2) for _ in range(n)]
    worse, accepted = 0.0, 0
    reported = statistics.fmean(_scores(base, worse, draw).values())
    for run in range(1, runs + 1):
        candidate = worse + draw.choice([0.0, draw.uniform(0.0, WORSE)])
        before, after = _scores(base, worse, draw), _scores(base, candidate, draw)
        comparison = compare_scores(before, after, metric="right")
        if rule(comparison, run):
            accepted, worse, reported = accepted + 1, candidate, comparison.after
    true = statistics.fmean(_chances(base, worse))
    error = math.sqrt(sum(chance * (1 - chance) for chance in _chances(base, worse))) / n
    return Outcome(accepted, (reported - true) / error, worse)


def _chances(base: Sequence[float], worse: float) -> list[float]:
    return [max(0.0, chance - worse) for chance in base]


def _scores(base: Sequence[float], worse: float, draw: random.Random) -> dict[str, float]:
    return {str(place): float(draw.random() < chance) for place, chance in enumerate(_chances(base, worse))}


def main(sequences: int) -> None:
    """Print the figures of both rules."""
    print(f"{sequences} sequences of {RUNS} runs on {EXAMPLES} held-out examples; no candidate is better\n")
    print("rule    accepted  sequences with any  drift of the reported score  accuracy lost")
    for name, rule in (("plugin", honest), ("any", greedy)):
        found = [simulate(rule, seed=seed) for seed in range(sequences)]
        accepted = statistics.fmean(each.accepted for each in found) / RUNS
        hit = statistics.fmean(each.accepted > 0 for each in found)
        drift = statistics.fmean(each.drift for each in found)
        lost = statistics.fmean(each.loss for each in found)
        print(f"{name:7} {accepted:8.2%} {hit:19.1%} {drift:24.2f} SE {lost:14.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
