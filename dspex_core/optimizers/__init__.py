"""Optimizers: programs made better by examples. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.bootstrap_few_shot import BootstrapFewShot
from dspex_core.optimizers.contract import Optimizer, Teleprompter
from dspex_core.optimizers.knn_few_shot import KNNFewShot
from dspex_core.optimizers.labeled_few_shot import LabeledFewShot
from dspex_core.optimizers.random_search import BootstrapFewShotWithRandomSearch, BootstrapRS

__all__ = [
    "BootstrapFewShot",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapRS",
    "KNNFewShot",
    "LabeledFewShot",
    "Optimizer",
    "Teleprompter",
]
