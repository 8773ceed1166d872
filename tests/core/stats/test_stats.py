import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from dspex_core.errors import ConfigurationError
from dspex_core.stats import (
    Interval,
    bootstrap_interval,
    clustered_interval,
    detectable_drop,
    mcnemar_exact,
    mean_interval,
    paired_p,
    sign_flip_test,
    wilson_interval,
)
from dspex_core.stats.checks import normal_quantile, t_quantile

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
confidences = st.floats(0.01, 0.999)
scores = st.lists(st.floats(-5, 5), min_size=1, max_size=30)


class TestWilson:
    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (85, 100, 0.7672, 0.9069)],
    )
    def test_gives_published_values(self, successes, n, low, high):
        interval = wilson_interval(successes, n)

        assert interval.low == pytest.approx(low, abs=5e-5)
        assert interval.high == pytest.approx(high, abs=5e-5)

    @given(counts, confidences)
    def test_agrees_with_scipy(self, count, confidence):
        successes, n = count
        expected = scipy_stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")

        interval = wilson_interval(successes, n, confidence=confidence)

        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)

    @given(counts, confidences)
    def test_lies_within_0_and_1_and_holds_the_share(self, count, confidence):
        successes, n = count

        interval = wilson_interval(successes, n, confidence=confidence)

        assert 0 <= interval.low <= successes / n <= interval.high <= 1

    @given(counts)
    def test_rises_with_the_successes(self, count):
        successes, n = count
        assume(successes < n)

        less, more = wilson_interval(successes, n), wilson_interval(successes + 1, n)

        assert less.low < more.low
        assert less.high < more.high

    @given(counts, confidences)
    def test_is_wider_for_more_confidence(self, count, confidence):
        narrow = wilson_interval(*count, confidence=confidence)
        wide = wilson_interval(*count, confidence=(1 + confidence) / 2)

        assert wide.low <= narrow.low
        assert narrow.high <= wide.high

    @pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
    def test_refuses_counts_that_cannot_be(self, successes, n):
        with pytest.raises(ConfigurationError, match=f"not {successes} of {n}"):
            wilson_interval(successes, n)

    @pytest.mark.parametrize("confidence", [0, 1, 95, math.nan])
    def test_refuses_a_confidence_that_is_no_share(self, confidence):
        with pytest.raises(ConfigurationError, match="a confidence lies between 0 and 1"):
            wilson_interval(1, 2, confidence=confidence)


class TestBootstrap:
    @given(scores, confidences, st.integers(0, 5))
    def test_holds_the_mean_and_stays_among_the_values(self, values, confidence, seed):
        interval = bootstrap_interval(values, confidence=confidence, seed=seed, resamples=50)

        mean = math.fsum(values) / len(values)
        assert interval.low <= mean + 1e-12
        assert interval.high >= mean - 1e-12
        assert min(values) - 1e-12 <= interval.low
        assert interval.high <= max(values) + 1e-12

    @pytest.mark.parametrize("n", [8, 30, 100, 300])
    def test_agrees_with_scipys_bca_at_the_level_that_few_values_need(self, n):
        values = [1 - (0.37 * (index + 1) % 1) ** 3 for index in range(n)]
        reach = scipy_stats.t.ppf(0.95, n - 1) * math.sqrt(n / (n - 1))
        level = 1 - 2 * scipy_stats.norm.cdf(-reach)
        expected = scipy_stats.bootstrap(
            (values,), np.mean, confidence_level=level, method="BCa", n_resamples=20_000, random_state=1
        ).confidence_interval
        width = expected.high - expected.low

        interval = bootstrap_interval(values, confidence=0.9, resamples=20_000)

        assert interval.low == pytest.approx(expected.low, abs=0.03 * width)
        assert interval.high == pytest.approx(expected.high, abs=0.03 * width)

    def test_computed_is_close_to_drawn(self):
        values = [1 - (0.37 * index % 1) ** 3 for index in range(100)]
        drawn = bootstrap_interval(values, resamples=20_000)

        computed = bootstrap_interval([*values, math.fsum(values) / 100])

        assert (computed.low, computed.high) == pytest.approx((drawn.low, drawn.high), abs=0.004)

    def test_reaches_further_to_the_side_of_the_tail(self):
        values = [1.0] * 25 + [0.9, 0.8, 0.2]
        mean = math.fsum(values) / len(values)

        interval = bootstrap_interval(values)

        assert mean - interval.low > 1.5 * (interval.high - mean)

    @pytest.mark.parametrize("values", [[0.0, 5e-324], [1e-200, 2e-200], [0.0] * 300 + [5e-324], [1.0] * 300 + [0.0]])
    def test_stands_values_that_hardly_differ(self, values):
        interval = bootstrap_interval(values, confidence=1 - 1e-12)

        assert min(values) <= interval.low <= interval.high <= max(values)

    def test_is_close_to_the_normal_interval_of_many_values(self):
        values = [(37 * index % 200) / 200 for index in range(200)]
        reach = 1.96 * scipy_stats.tstd(values) / math.sqrt(len(values))
        mean = math.fsum(values) / len(values)

        interval = bootstrap_interval(values)

        assert interval.low == pytest.approx(mean - reach, abs=0.005)
        assert interval.high == pytest.approx(mean + reach, abs=0.005)

    def test_depends_on_nothing_but_values_and_seed(self):
        values = [0.1, 0.5, 0.25, 0.9]

        assert bootstrap_interval(values, seed=0) == bootstrap_interval(values, seed=0)
        assert bootstrap_interval(values, seed=0, resamples=20) != bootstrap_interval(values, seed=1, resamples=20)

    def test_of_one_value_is_that_value(self):
        assert bootstrap_interval([0.3]) == Interval(0.3, 0.3)

    @pytest.mark.parametrize("values", [[], [0.5, math.nan], [math.inf]])
    def test_refuses_what_has_no_mean(self, values):
        with pytest.raises(ConfigurationError, match="at least one value, and finite ones"):
            bootstrap_interval(values)


class TestMeanInterval:
    def test_of_passes_and_misses_is_wilsons(self):
        assert mean_interval([1.0, 0.0, 1.0, True]) == wilson_interval(3, 4)

    def test_of_other_scores_is_the_bootstraps(self):
        values = [1.0, 0.5, 0.0, 0.25]

        assert mean_interval(values, confidence=0.9, seed=3) == bootstrap_interval(values, confidence=0.9, seed=3)

    def test_of_nothing_is_refused(self):
        with pytest.raises(ConfigurationError):
            mean_interval([])


class TestClustered:
    def test_of_single_scores_is_that_of_their_mean(self):
        values = [1.0, 0.5, 0.0, 0.25]

        assert clustered_interval([[value] for value in values]) == mean_interval(values)
        assert clustered_interval([[1], [0], [1]]) == wilson_interval(2, 3)

    @pytest.mark.parametrize("repeats", [2, 5])
    def test_takes_attempts_that_are_all_alike_for_one(self, repeats):
        rows = [1, 0, 1, 1, 1, 0, 1, 1]

        assert clustered_interval([[row] * repeats for row in rows]) == wilson_interval(6, 8)

    def test_is_that_of_the_means_of_clusters_of_one_size(self):
        clusters = [[1, 0, 1], [1, 1, 1], [0, 0, 1], [1, 1, 1]]

        assert clustered_interval(clusters) == bootstrap_interval([2 / 3, 1, 1 / 3, 1])

    def test_of_rows_that_all_pass_counts_the_rows(self):
        assert clustered_interval([[1] * 5] * 20) == wilson_interval(20, 20)

    def test_of_one_row_is_not_sure_of_its_rate(self):
        interval = clustered_interval([[1, 1, 0, 1, 0]])

        assert interval.low < 0.2
        assert interval.high > 0.9

    def test_weighs_each_score_alike_where_clusters_differ_in_size(self):
        clusters = [[0.2, 0.4], [0.9] * 8, [0.5], [0.7, 0.1, 0.6], [0.3]] * 4
        values = [value for cluster in clusters for value in cluster]
        mean = math.fsum(values) / len(values)

        interval = clustered_interval(clusters)

        assert interval.low < mean < interval.high
        # The cluster-robust (sandwich) error of Liang and Zeger 1986, for a mean.
        meat = sum((math.fsum(cluster) - mean * len(cluster)) ** 2 for cluster in clusters)
        error = math.sqrt(meat * len(clusters) / (len(clusters) - 1)) / len(values)
        assert interval.high - interval.low == pytest.approx(2 * 2.09 * error, rel=0.15)

    @given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=4), min_size=1, max_size=8))
    def test_holds_the_mean_and_stays_among_the_values(self, clusters):
        values = [value for cluster in clusters for value in cluster]

        interval = clustered_interval(clusters)

        assert interval.low - 1e-9 <= math.fsum(values) / len(values) <= interval.high + 1e-9
        assert interval.low >= 0
        assert interval.high <= 1

    @pytest.mark.parametrize("clusters", [[], [[]], [[1.0], []]])
    def test_refuses_clusters_without_scores(self, clusters):
        with pytest.raises(ConfigurationError, match="at least one value"):
            clustered_interval(clusters)


@pytest.mark.parametrize("freedom", [5, 6, 10, 30, 200, 5000])
@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.99])
def test_the_quantile_of_students_t_agrees_with_scipys(level, freedom):
    expected = scipy_stats.t.ppf(0.5 + level / 2, freedom)

    assert t_quantile(normal_quantile(level), freedom) == pytest.approx(expected, rel=0.01)


class TestMcNemar:
    @pytest.mark.parametrize(
        ("lost", "gained", "p"), [(0, 0, 1.0), (5, 0, 0.0625), (6, 0, 0.03125), (1, 9, 0.021484375), (4, 4, 1.0)]
    )
    def test_gives_known_values(self, lost, gained, p):
        assert mcnemar_exact(lost, gained) == p

    @given(st.integers(0, 300), st.integers(0, 300))
    def test_agrees_with_the_binomial_test_of_scipy(self, lost, gained):
        assume(lost + gained > 0)

        assert mcnemar_exact(lost, gained) == pytest.approx(scipy_stats.binomtest(lost, lost + gained).pvalue)

    @given(st.integers(0, 2000), st.integers(0, 2000))
    def test_treats_both_directions_alike(self, lost, gained):
        assert 0 <= mcnemar_exact(lost, gained) == mcnemar_exact(gained, lost) <= 1

    @given(st.integers(0, 200), st.integers(0, 200))
    def test_falls_as_the_split_becomes_more_uneven(self, lost, gained):
        assume(lost >= gained)

        assert mcnemar_exact(lost + 1, gained) <= mcnemar_exact(lost, gained)

    def test_refuses_negative_counts(self):
        with pytest.raises(ConfigurationError, match="lost=-1"):
            mcnemar_exact(-1, 3)


class TestSignFlips:
    def test_counts_the_sign_patterns_that_are_as_extreme(self):
        # Of 8 patterns of 0.1, 0.2 and 0.4 only +++ and --- reach a sum of 0.7.
        assert sign_flip_test([-0.1, -0.2, -0.4]) == 2 / 8

    @given(st.lists(st.sampled_from([-0.5, -0.25, 0.25, 0.5, 1.0]), min_size=2, max_size=7))
    def test_agrees_with_scipys_permutation_test(self, differences):
        expected = scipy_stats.permutation_test(
            (differences,), lambda x, axis: x.mean(axis=axis), permutation_type="samples", vectorized=True
        )

        assert sign_flip_test(differences) == pytest.approx(expected.pvalue)

    @given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=12))
    def test_is_mcnemars_test_on_passes_and_misses(self, differences):
        assert sign_flip_test(differences) == pytest.approx(mcnemar_exact(differences.count(-1), differences.count(1)))

    @given(st.lists(st.floats(-1, 1), min_size=1, max_size=20), st.integers(0, 3))
    def test_is_a_probability_and_ignores_the_direction(self, differences, seed):
        p = sign_flip_test(differences, seed=seed, resamples=50)

        assert 0 < p <= 1
        assert p == sign_flip_test([-difference for difference in differences], seed=seed, resamples=50)

    def test_sampled_is_close_to_exact(self):
        differences = [-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 1, 1, 1]

        assert sign_flip_test(differences) == pytest.approx(mcnemar_exact(11, 4), abs=0.02)

    def test_sampled_is_never_zero(self):
        assert sign_flip_test([-0.5] * 100, resamples=200) == 1 / 201

    def test_refuses_no_differences(self):
        with pytest.raises(ConfigurationError):
            sign_flip_test([])


class TestPairedP:
    def test_of_passes_and_misses_is_mcnemars(self):
        assert paired_p([-1.0] * 20 + [1.0] * 3 + [0.0] * 50) == mcnemar_exact(20, 3)

    def test_of_other_scores_is_by_sign_flips(self):
        differences = [-0.5, 0.25, -1.0, -0.75]

        assert paired_p(differences) == sign_flip_test(differences)

    def test_of_unchanged_cases_is_1(self):
        assert paired_p([0.0, 0.0]) == 1.0


def _power(n, discordant_rate, drop):
    """Work out the exact power of McNemar's exact test at 5 %."""
    lost_rate = discordant_rate / 2 + drop
    discordant = discordant_rate + drop
    power = 0.0
    for changed in range(n + 1):
        fewest_lost = next((k for k in range(changed // 2, changed + 1) if mcnemar_exact(k, changed - k) < 0.05), None)
        if fewest_lost is not None:
            found = scipy_stats.binom.sf(fewest_lost - 1, changed, lost_rate / discordant)
            power += scipy_stats.binom.pmf(changed, n, discordant) * found
    return power


class TestDetectableDrop:
    @pytest.mark.parametrize("n", [20, 50, 100])
    @pytest.mark.parametrize("discordant_rate", [0.0, 0.05, 0.15, 0.3])
    def test_is_found_by_the_exact_test_with_about_the_power_asked_for(self, n, discordant_rate):
        assert 0.80 <= _power(n, discordant_rate, detectable_drop(n, discordant_rate)) <= 0.93

    def test_is_what_the_formula_gives(self):
        n, rate = 200, 0.10
        drop = detectable_drop(n, rate)

        needed = (1.959964 * math.sqrt(rate + drop) + 0.841621 * math.sqrt(rate + drop - drop**2)) / math.sqrt(n)

        assert drop == pytest.approx(needed + 1 / n, abs=1e-5)

    @given(st.integers(30, 1000), st.floats(0, 0.3))
    def test_shrinks_with_more_cases_and_grows_with_noise(self, n, rate):
        drop = detectable_drop(n, rate)

        assert 0 < drop <= 1 - rate
        assert detectable_drop(2 * n, rate) < drop < detectable_drop(n, rate + 0.1)

    def test_is_none_where_too_few_cases_could_show_nothing(self):
        assert detectable_drop(3, 0.0) is None

    def test_is_larger_for_more_power_and_for_a_stricter_test(self):
        usual = detectable_drop(100, 0.1)

        assert detectable_drop(100, 0.1, power=0.95) > usual
        assert detectable_drop(100, 0.1, significance=0.01) > usual

    @pytest.mark.parametrize(("n", "rate"), [(0, 0.1), (10, -0.1), (10, 1.0)])
    def test_refuses_what_cannot_be(self, n, rate):
        with pytest.raises(ConfigurationError, match="a detectable drop needs"):
            detectable_drop(n, rate)


@given(st.integers(1, 60), st.data())
def test_mcnemar_is_exact_in_rational_numbers(changed, data):
    lost = data.draw(st.integers(0, changed))
    tail = sum(math.comb(changed, k) for k in range(min(lost, changed - lost) + 1))

    assert mcnemar_exact(lost, changed - lost) == float(min(Fraction(1), Fraction(2 * tail, 2**changed)))
