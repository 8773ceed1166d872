import math
import pickle
import random
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core import ConfigurationError, decided
from dspex_core.stats import anytime_interval

shares = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def verdict_of(scores, *, n_total=None, **rule):
    """Return the verdict and after how many of the scores it was settled."""
    state = decided(**rule).start(n_total)
    for count, score in enumerate(scores, start=1):
        state.add(score)
        if state.verdict is not None:
            return state.verdict, count
    return None, len(scores)


def shuffled(scores, seed):
    return random.Random(seed).sample(scores, len(scores))


class TestDecided:
    def test_says_above_for_a_program_far_above_its_gate_long_before_the_end(self):
        scores = [1] * 372 + [0] * 28  # .93, the gate is at .85
        ends = [verdict_of(shuffled(scores, seed), min=0.85, n_total=400) for seed in range(50)]

        assert {verdict for verdict, _ in ends} == {"above"}
        assert sum(count for _, count in ends) / len(ends) < 0.4 * 400

    def test_says_below_for_a_program_far_below_its_gate_long_before_the_end(self):
        scores = [1] * 308 + [0] * 92
        ends = [verdict_of(shuffled(scores, seed), min=0.85, n_total=400) for seed in range(50)]

        assert {verdict for verdict, _ in ends} == {"below"}
        assert sum(count for _, count in ends) / len(ends) < 0.5 * 400

    @pytest.mark.parametrize(("passed", "right"), [(170, "above"), (169, "below")])
    def test_is_wrong_less_often_than_asked_for_in_the_hardest_case(self, passed, right):
        scores = [1] * passed + [0] * (200 - passed)  # exactly at the gate, or one case below it
        verdicts = [verdict_of(shuffled(scores, seed), min=0.85, confidence=0.9, n_total=200)[0] for seed in range(200)]

        assert sum(verdict != right for verdict in verdicts) / len(verdicts) < 0.1

    def test_is_wrong_less_often_than_asked_for_on_fractional_scores_without_an_end(self):
        draws = [[random.Random(seed * 1000 + k).betavariate(3, 1) for k in range(200)] for seed in range(200)]
        wrong = [verdict_of(scores, min=0.76, confidence=0.9)[0] == "above" for scores in draws]  # the mean is .75

        assert sum(wrong) / len(wrong) < 0.1

    @given(shares, st.floats(0.01, 1))
    def test_is_settled_at_the_end_of_the_dataset(self, scores, gate):
        verdict, _ = verdict_of(scores, min=gate, confidence=1 - 1e-12, n_total=len(scores))

        mean = math.fsum(scores) / len(scores)
        assert verdict == ("above" if mean >= gate else "below") or abs(mean - gate) < 1e-6

    def test_is_settled_when_the_rest_can_no_longer_change_it(self):
        assert verdict_of([1] * 8, min=0.8, confidence=0.9999, n_total=10) == ("above", 8)
        assert verdict_of([0] * 3, min=0.8, confidence=0.9999, n_total=10) == ("below", 3)

    def test_takes_a_mean_at_the_gate_for_above_whatever_binary_fractions_say(self):
        assert verdict_of([0.1, 0.2], min=0.15, confidence=0.9999, n_total=2) == ("above", 2)
        assert verdict_of([0.7, 0.1, 0.3], min=1.1 / 3, confidence=0.9999, n_total=3) == ("above", 3)

    def test_with_a_gate_of_1_one_failure_settles_it(self):
        assert verdict_of([1, 1, 0], min=1, n_total=50) == ("below", 3)
        assert verdict_of([1] * 50, min=1, n_total=50) == ("above", 50)

    def test_keeps_its_verdict_when_more_scores_come(self):
        state = decided(min=0.5).start(None)
        for score in [1] * 20 + [0] * 200:
            state.add(score)

        assert state.verdict == "above"
        assert state.n == 220

    def test_starts_each_run_anew(self):
        rule = decided(min=0.5)
        first = rule.start(4)
        for score in (1, 1):
            first.add(score)

        assert first.verdict == "above"
        assert rule.start(4).verdict is None

    def test_is_a_value_that_other_processes_can_have(self):
        rule = decided(min=0.85, confidence=0.9)

        assert pickle.loads(pickle.dumps(rule)) == rule

    @pytest.mark.parametrize("score", [1.01, -0.5, 85, math.nan, math.inf, None, "1"])
    def test_refuses_a_score_that_is_not_a_share_and_names_it(self, score):
        with pytest.raises(ConfigurationError, match=rf"scores from 0 to 1, not {score!r}"):
            decided(min=0.85).start(10).add(score)

    def test_refuses_more_scores_than_examples(self):
        state = decided(min=0.85).start(1)
        state.add(1)

        with pytest.raises(ConfigurationError, match="after those of all 1 examples"):
            state.add(1)

    @pytest.mark.parametrize("gate", [0, -1, 85, math.nan])
    def test_refuses_a_gate_that_is_not_a_share(self, gate):
        with pytest.raises(ConfigurationError, match=rf"above 0 and up to 1, not {gate}"):
            decided(min=gate)

    def test_refuses_a_confidence_and_a_size_that_cannot_be(self):
        with pytest.raises(ConfigurationError, match="a confidence lies between 0 and 1"):
            decided(min=0.85, confidence=95)
        with pytest.raises(ConfigurationError, match="at least one example, not on 0"):
            decided(min=0.85).start(0)


class TestAnytimeInterval:
    def test_holds_the_mean_of_the_dataset_at_all_times_of_most_runs(self):
        scores = [1] * 90 + [0] * 10 + [0.5] * 20
        mean = sum(scores) / len(scores)
        missed = 0
        for seed in range(60):
            drawn = shuffled(scores, seed)
            ends = [anytime_interval(drawn[:n], n_total=120, confidence=0.8) for n in (5, 20, 40, 80, 119, 120)]
            missed += any(not end.low - 1e-9 <= mean <= end.high + 1e-9 for end in ends)

        assert missed / 60 < 0.2

    @given(shares, st.integers(0, 60))
    def test_lies_within_0_and_1_and_is_the_mean_once_all_are_drawn(self, scores, more):
        interval = anytime_interval(scores, n_total=len(scores) + more)

        assert -1e-9 <= interval.low <= interval.high <= 1 + 1e-9
        if not more:
            assert interval.low == pytest.approx(math.fsum(scores) / len(scores), abs=1e-6)
            assert interval.high == pytest.approx(interval.low, abs=1e-6)

    @given(shares)
    def test_mirrors_mirrored_scores(self, scores):
        interval, mirrored = anytime_interval(scores), anytime_interval([1 - score for score in scores])

        assert (mirrored.low, mirrored.high) == pytest.approx((1 - interval.high, 1 - interval.low), abs=1e-6)

    def test_agrees_with_the_bets_of_the_paper_written_out(self):
        scores = [1, 1, 0, 1, 1, 1, 1, 0.5, 1, 1] * 4
        low = anytime_interval(scores, n_total=100).low
        stakes = (0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

        def capital(mean):
            before = [0, *accumulate(scores)]
            fair = [(100 * mean - before[k]) / (100 - k) for k in range(len(scores))]
            bets = [math.prod(1 + c / m * (x - m) for x, m in zip(scores, fair, strict=True)) for c in stakes]
            return sum(bets) / len(bets)

        assert capital(low - 1e-4) > 2 / 0.05 > capital(low + 1e-4)

    def test_is_the_interval_of_a_running_decision(self):
        state = decided(min=0.5, confidence=0.9).start(100)
        for score in (1, 0, 1, 1):
            state.add(score)

        assert state.interval == anytime_interval([1, 0, 1, 1], n_total=100, confidence=0.9)

    @pytest.mark.parametrize(
        ("scores", "n_total", "message"),
        [([], None, "at least one score"), ([2], None, "scores from 0 to 1"), ([1, 1], 1, "2 scores cannot be")],
    )
    def test_refuses_scores_that_cannot_be(self, scores, n_total, message):
        with pytest.raises(ConfigurationError, match=message):
            anytime_interval(scores, n_total=n_total)
