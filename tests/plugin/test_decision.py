"""Which recompiled programs are accepted: none that are better by the noise of repeated looking."""

import importlib.util
import statistics
from pathlib import Path

import pytest

from dspex_core.evaluation.compare import compare_scores
from pytest_dspex.optimizing.decision import decide, doubt, level_of

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "held_out.py"


@pytest.fixture(scope="module")
def held_out():
    spec = importlib.util.spec_from_file_location("held_out_benchmark", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compared(before, after):
    return compare_scores(
        {str(place): float(score) for place, score in enumerate(before)},
        {str(place): float(score) for place, score in enumerate(after)},
        metric="right",
    )


def test_the_levels_of_all_looks_sum_to_one_in_twenty():
    one_sided = sum(level_of(look) / 2 for look in range(1, 100_000))
    assert one_sided == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize(
    ("gained", "lost", "look", "outcome"),
    [
        (6, 0, 1, "improved"),
        (5, 0, 1, "not better"),
        (6, 0, 2, "not better"),
        (12, 0, 10, "improved"),
        (10, 2, 1, "improved"),
        (7, 6, 1, "not better"),
        (0, 0, 1, "not better"),
        (2, 7, 1, "not better"),
        (0, 6, 1, "regressed"),
        (0, 6, 100, "regressed"),
    ],
)
def test_a_gain_is_accepted_when_it_is_more_than_the_noise_of_so_many_looks(gained, lost, look, outcome):
    before = [0] * gained + [1] * lost + [1] * 10
    after = [1] * gained + [0] * lost + [1] * 10
    assert decide(compared(before, after), look) == outcome


def test_fractional_scores_are_decided_by_sign_flips():
    before = [0.5] * 12
    assert decide(compared(before, [0.6] * 12), 1) == "improved"
    assert decide(compared(before, [0.6] * 4 + [0.5] * 8), 1) == "not better"


def test_an_artifact_of_an_older_source_is_replaced_unless_the_new_program_is_worse():
    same = compared([1, 0, 1], [1, 0, 1])
    assert decide(same, 1, is_stale=True) == "recompiled"
    assert decide(compared([1] * 8, [0] * 8), 1, is_stale=True) == "regressed"


def test_a_doubtful_gain_says_why_and_no_gain_says_nothing():
    assert "after 3 looks at these 4 held-out examples p must be below 0.0083" in doubt(compared([0] * 4, [1] * 4), 3)
    assert doubt(compared([1, 1], [1, 0]), 3) == ""


def test_noise_in_200_runs_is_not_accepted_and_the_reported_score_does_not_drift(held_out):
    found = [held_out.simulate(held_out.honest, seed=seed, n=60) for seed in range(12)]
    assert statistics.fmean(each.accepted for each in found) / held_out.RUNS < 0.05
    assert sum(each.accepted > 0 for each in found) <= 2
    assert abs(statistics.fmean(each.drift for each in found)) < 1
    greedy = held_out.simulate(held_out.greedy, seed=0, n=60)
    assert greedy.accepted / held_out.RUNS > 0.3  # the simulation can tell
