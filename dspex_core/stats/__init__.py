"""How sure a score is: intervals, paired tests, the drop that a test can see, early stopping. PYTEST_DONT_REWRITE

Everything that draws at random takes a seed, so that the same scores give the same verdict, with any
release of NumPy: the draws are those of its frozen `RandomState`.
"""

from dspex_core.stats.intervals import Interval, bootstrap_interval, clustered_interval, mean_interval, wilson_interval
from dspex_core.stats.multiple import holm
from dspex_core.stats.paired import mcnemar_exact, paired_p, sign_flip_test
from dspex_core.stats.power import detectable_drop, detectable_shift
from dspex_core.stats.ppi import PoweredMean, prediction_powered_mean
from dspex_core.stats.repeats import pass_at_k, pass_pow_k
from dspex_core.stats.selection import Selected, best_of
from dspex_core.stats.sequential import Decided, RunningDecision, anytime_interval, decided

__all__ = [
    "Decided",
    "Interval",
    "PoweredMean",
    "RunningDecision",
    "Selected",
    "anytime_interval",
    "best_of",
    "bootstrap_interval",
    "clustered_interval",
    "decided",
    "detectable_drop",
    "detectable_shift",
    "holm",
    "mcnemar_exact",
    "mean_interval",
    "paired_p",
    "pass_at_k",
    "pass_pow_k",
    "prediction_powered_mean",
    "sign_flip_test",
    "wilson_interval",
]
