"""DSPy's `dspy.predict.rlm`: long inputs, read by code. PYTEST_DONT_REWRITE"""

from dspex_core.programs.code.rlm import RLM

__all__ = ["RLM"]
