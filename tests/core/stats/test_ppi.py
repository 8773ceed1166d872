"""`prediction_powered_mean`: a mean from few labels and many predictions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.errors import ConfigurationError
from dspex_core.stats import prediction_powered_mean

LABELS = [0.2, 0.4, 0.9, 0.7, 0.5, 0.1]


def test_predictions_that_say_nothing_leave_the_mean_of_the_labels_with_students_interval():
    from scipy import stats

    found = prediction_powered_mean(LABELS, [0.5] * 6, [0.5] * 100)
    assert found.weight == 0.0
    assert found.mean == pytest.approx(0.4666667)
    # The weight is estimated, too, which costs a degree of freedom: four are left of six labels.
    spread = (stats.tvar(LABELS) * 5 / 4 / 6) ** 0.5
    low, high = stats.t.interval(0.95, 4, loc=found.mean, scale=spread)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high))


def test_the_estimate_is_that_of_the_paper():
    import numpy as np

    draw = np.random.RandomState(0)
    labels = draw.uniform(size=40)
    predicted, unlabelled = labels + draw.normal(0.1, 0.1, 40), draw.uniform(size=160) + draw.normal(0.1, 0.1, 160)
    found = prediction_powered_mean(labels.tolist(), predicted.tolist(), unlabelled.tolist())
    spread = np.concatenate([predicted, unlabelled]).var(ddof=1)
    weight = np.cov(labels, predicted)[0, 1] / (1 + 40 / 160) / spread
    assert found.weight == pytest.approx(weight)
    assert found.mean == pytest.approx(weight * unlabelled.mean() + (labels - weight * predicted).mean())


def test_a_constant_error_of_the_predictions_is_corrected():
    draw = random.Random(0)
    truth = [draw.random() for _ in range(2000)]
    predicted = [value + 0.3 for value in truth]
    found = prediction_powered_mean(truth[:100], predicted[:100], predicted[100:])
    assert found.mean == pytest.approx(0.5, abs=0.05)
    alone = prediction_powered_mean(truth[:100], [0.5] * 100, [0.5] * 1900)
    width, width_alone = (value.interval.high - value.interval.low for value in (found, alone))
    assert width < width_alone / 2


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=3, max_size=60),
    st.lists(st.booleans(), min_size=2, max_size=60),
)
def test_the_interval_of_a_share_lies_within_0_and_1_and_holds_the_estimate(pairs, unlabelled):
    labels, predicted = ([float(value) for value in column] for column in zip(*pairs, strict=True))
    found = prediction_powered_mean(labels, predicted, list(map(float, unlabelled)))
    assert 0 <= found.interval.low <= found.mean <= found.interval.high <= 1
    assert found.interval.low < found.interval.high
    assert 0 <= found.weight <= 1


@pytest.mark.parametrize(
    ("labels", "predicted", "unlabelled", "confidence"),
    [
        ([1.0, 0.0], [1.0, 0.0], [1.0, 0.0], 0.95),
        ([1.0] * 3, [1.0] * 3, [1.0], 0.95),
        ([1.0] * 3, [1.0] * 4, [1.0] * 3, 0.95),
        ([1.0, 0.0, float("inf")], [1.0] * 3, [1.0] * 3, 0.95),
        ([1.0] * 3, [1.0] * 3, [1.0] * 3, 1.0),
    ],
)
def test_what_no_mean_can_be_made_of_is_refused(labels, predicted, unlabelled, confidence):
    with pytest.raises(ConfigurationError):
        prediction_powered_mean(labels, predicted, unlabelled, confidence=confidence)
