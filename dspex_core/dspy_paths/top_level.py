"""Those of DSPy's top-level names that are not among ours: `dspex_core.DSPyError`, ... PYTEST_DONT_REWRITE"""

from typing import Any

from dspex_core.config import load_settings
from dspex_core.dspy_paths.not_there_yet import (
    AvatarOptimizer,
    Flex,
)
from dspex_core.dspy_paths.primitives import BaseModule, CodeExecutionError, CodeInterpreterError
from dspex_core.dspy_paths.utils.exceptions import DSPyError
from dspex_core.errors import LMConfigurationError, LMUnexpectedError, LMUnsupportedModelError, is_retryable_lm_error
from dspex_core.lm.request_cache import configure_cache, current_cache
from dspex_core.lm.training import Provider, TrainingJob
from dspex_core.messages.typed import (
    Assistant,
    Developer,
    LMConfig,
    LMMessage,
    System,
    ToolCall,
    ToolResult,
    User,
)
from dspex_core.optimizers.better_together import BetterTogether
from dspex_core.optimizers.bootstrap_optuna import BootstrapFewShotWithOptuna
from dspex_core.optimizers.copro import COPRO
from dspex_core.optimizers.ensemble import Ensemble
from dspex_core.optimizers.finetune.optimizer import BootstrapFinetune
from dspex_core.optimizers.gepa.optimizer import GEPA
from dspex_core.optimizers.infer_rules import InferRules
from dspex_core.optimizers.mipro import MIPROv2
from dspex_core.optimizers.simba import SIMBA
from dspex_core.optimizers.traced_runs import bootstrap_trace_data
from dspex_core.programs.retrieve import Retrieve
from dspex_core.retrievers.colbert import ColBERTv2
from dspex_core.signatures.signature import SignatureMeta, ensure_signature, infer_prefix, make_signature
from dspex_core.telemetry.logs import (
    configure_dspy_loggers,
    disable_litellm_logging,
    disable_logging,
    enable_litellm_logging,
    enable_logging,
)

__all__ = [
    "COPRO",
    "GEPA",
    "SIMBA",
    "Assistant",
    "AvatarOptimizer",
    "BaseModule",
    "BetterTogether",
    "BootstrapFewShotWithOptuna",
    "BootstrapFinetune",
    "CodeExecutionError",
    "CodeInterpreterError",
    "ColBERTv2",
    "DSPyError",
    "Developer",
    "Ensemble",
    "Flex",
    "InferRules",
    "LMConfig",
    "LMConfigurationError",
    "LMMessage",
    "LMUnexpectedError",
    "LMUnsupportedModelError",
    "MIPROv2",
    "Provider",
    "Retrieve",
    "SignatureMeta",
    "System",
    "ToolCall",
    "ToolResult",
    "TrainingJob",
    "User",
    "bootstrap_trace_data",
    "configure_cache",
    "configure_dspy_loggers",
    "disable_litellm_logging",
    "disable_logging",
    "enable_litellm_logging",
    "enable_logging",
    "ensure_signature",
    "infer_prefix",
    "is_retryable_lm_error",
    "load_settings",
    "make_signature",
]


def __getattr__(name: str) -> Any:
    if name in {"cache", "DSPY_CACHE"}:  # what it is depends on the settings
        return current_cache()
    raise AttributeError(name)
