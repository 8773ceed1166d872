"""DSPy's `dspy.predict.refine`: attempts with advice. PYTEST_DONT_REWRITE"""

from dspex_core.programs.attempts.best_of_n import Refine

__all__ = ["Refine"]
