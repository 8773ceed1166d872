"""DSPy's `dspy.teleprompt`: optimizers. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.dspy_paths.not_there_yet import (
    AvatarOptimizer,
)
from dspex_core.optimizers import (
    COPRO,
    SIMBA,
    BootstrapFewShot,
    BootstrapFewShotWithRandomSearch,
    BootstrapRS,
    InferRules,
    KNNFewShot,
    LabeledFewShot,
    Teleprompter,
)
from dspex_core.optimizers.better_together import BetterTogether
from dspex_core.optimizers.bootstrap_optuna import BootstrapFewShotWithOptuna
from dspex_core.optimizers.ensemble import Ensemble
from dspex_core.optimizers.finetune.optimizer import BootstrapFinetune
from dspex_core.optimizers.gepa.optimizer import GEPA
from dspex_core.optimizers.mipro import MIPROv2
from dspex_core.optimizers.traced_runs import bootstrap_trace_data

__all__ = [
    "COPRO",
    "GEPA",
    "SIMBA",
    "AvatarOptimizer",
    "BetterTogether",
    "BootstrapFewShot",
    "BootstrapFewShotWithOptuna",
    "BootstrapFewShotWithRandomSearch",
    "BootstrapFinetune",
    "BootstrapRS",
    "Ensemble",
    "InferRules",
    "KNNFewShot",
    "LabeledFewShot",
    "MIPROv2",
    "Teleprompter",
    "bootstrap_trace_data",
]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
