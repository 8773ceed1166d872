"""DSPy's `dspy.clients`: language models and embedders. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.lm.base import BaseLM
from dspex_core.lm.client import LM
from dspex_core.lm.history import inspect_history
from dspex_core.lm.request_cache import configure_cache
from dspex_core.lm.training import Provider, TrainingJob
from dspex_core.retrievers.embedders import Embedder
from dspex_core.telemetry.logs import disable_litellm_logging, enable_litellm_logging

__all__ = [
    "LM",
    "BaseLM",
    "Embedder",
    "Provider",
    "TrainingJob",
    "configure_cache",
    "disable_litellm_logging",
    "enable_litellm_logging",
    "inspect_history",
]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
