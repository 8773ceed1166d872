"""DSPy's `dspy.adapters.two_step_adapter`: free text, read by a second call. PYTEST_DONT_REWRITE"""

from dspex_core.adapters.two_step import TwoStepAdapter

__all__ = ["TwoStepAdapter"]
