"""DSPy's `dspy.adapters.types.reasoning`: a model's own reasoning. PYTEST_DONT_REWRITE"""

from dspex_core.types import Reasoning

__all__ = ["Reasoning"]
