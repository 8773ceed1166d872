"""DSPy's `dspy.teleprompt.ensemble`: several programs as one. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.ensemble import Ensemble

__all__ = ["Ensemble"]
