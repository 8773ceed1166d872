"""DSPy's `dspy.teleprompt.simba`: instructions and demos by mini-batches. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import SIMBA

__all__ = ["SIMBA"]
