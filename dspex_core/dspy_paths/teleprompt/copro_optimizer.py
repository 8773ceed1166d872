"""DSPy's `dspy.teleprompt.copro_optimizer`: instructions. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import COPRO

__all__ = ["COPRO"]
