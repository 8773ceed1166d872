"""DSPy's `dspy.predict.best_of_n`: the best of some attempts. PYTEST_DONT_REWRITE"""

from dspex_core.programs.attempts.best_of_n import BestOfN

__all__ = ["BestOfN"]
