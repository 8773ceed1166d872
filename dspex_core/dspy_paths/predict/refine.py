"""DSPy's `dspy.predict.refine`: attempts with advice. PYTEST_DONT_REWRITE"""

from dspex_core.programs.sampling import Refine

__all__ = ["Refine"]
