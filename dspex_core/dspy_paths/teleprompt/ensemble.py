"""DSPy's `dspy.teleprompt.ensemble`: several programs as one. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import Ensemble

__all__ = ["Ensemble"]
