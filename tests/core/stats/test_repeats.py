import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dspex_core.errors import ConfigurationError
from dspex_core.stats import pass_at_k, pass_pow_k


@st.composite
def attempts(draw):
    total = draw(st.integers(1, 9))
    return total, draw(st.integers(0, total)), draw(st.integers(1, total))


@given(attempts())
def test_the_estimates_are_the_shares_of_all_choices_of_k_attempts(numbers):
    total, passed, k = numbers
    outcomes = [True] * passed + [False] * (total - passed)
    choices = list(itertools.combinations(outcomes, k))

    assert pass_at_k(passed=passed, attempts=total, k=k) == pytest.approx(sum(map(any, choices)) / len(choices))
    assert pass_pow_k(passed=passed, attempts=total, k=k) == pytest.approx(sum(map(all, choices)) / len(choices))


@pytest.mark.parametrize("estimate", [pass_at_k, pass_pow_k])
@pytest.mark.parametrize(("passed", "total", "k"), [(1, 5, 0), (1, 5, 6), (-1, 5, 1), (6, 5, 1), (0, 0, 1)])
def test_numbers_that_do_not_fit_together_are_refused(estimate, passed, total, k):
    with pytest.raises(ConfigurationError, match="k must be between 1 and the number of attempts"):
        estimate(passed=passed, attempts=total, k=k)
