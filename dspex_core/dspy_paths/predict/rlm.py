"""DSPy's `dspy.predict.rlm`: long inputs, read by code. PYTEST_DONT_REWRITE"""

from dspex_core.programs.rlm import RLM

__all__ = ["RLM"]
