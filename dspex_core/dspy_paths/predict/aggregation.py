"""DSPy's `dspy.predict.aggregation`: majority votes. PYTEST_DONT_REWRITE"""

from dspex_core.programs.attempts.aggregation import default_normalize, majority

__all__ = ["default_normalize", "majority"]
