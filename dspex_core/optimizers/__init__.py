"""Optimizers: programs made better by examples. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.bootstrap_few_shot import BootstrapFewShot
from dspex_core.optimizers.compiler import Compiler
from dspex_core.optimizers.contract import Optimizer, Teleprompter
from dspex_core.optimizers.copro import COPRO
from dspex_core.optimizers.infer_rules import InferRules
from dspex_core.optimizers.knn_few_shot import KNNFewShot
from dspex_core.optimizers.labeled_few_shot import LabeledFewShot
from dspex_core.optimizers.plan import CompilePlan
from dspex_core.optimizers.proposers.telling import Telling
from dspex_core.optimizers.random_search import BootstrapFewShotWithRandomSearch, BootstrapRS
from dspex_core.optimizers.search.dimensions import PromptDimensions
from dspex_core.optimizers.simba import SIMBA
from dspex_core.optimizers.trials import Trial, Trials

__all__ = [
    "COPRO",
    "SIMBA",
    "BootstrapFewShot",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapRS",
    "CompilePlan",
    "Compiler",
    "InferRules",
    "KNNFewShot",
    "LabeledFewShot",
    "Optimizer",
    "PromptDimensions",
    "Teleprompter",
    "Telling",
    "Trial",
    "Trials",
]
