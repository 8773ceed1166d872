"""DSPy's `dspy.clients.base_lm`: the contract of a language model. PYTEST_DONT_REWRITE"""

from dspex_core.lm.base import BaseLM
from dspex_core.lm.history import inspect_history

__all__ = ["BaseLM", "inspect_history"]
