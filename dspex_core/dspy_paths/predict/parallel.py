"""DSPy's `dspy.predict.parallel`: many calls at once. PYTEST_DONT_REWRITE"""

from dspex_core.programs.parallel import Parallel

__all__ = ["Parallel"]
