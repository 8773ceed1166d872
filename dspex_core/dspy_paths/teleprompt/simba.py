"""DSPy's `dspy.teleprompt.simba`: instructions and demos by mini-batches. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.simba import SIMBA

__all__ = ["SIMBA"]
