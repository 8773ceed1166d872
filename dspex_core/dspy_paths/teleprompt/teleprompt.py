"""DSPy's `dspy.teleprompt.teleprompt`: the contract of an optimizer. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers import Teleprompter

__all__ = ["Teleprompter"]
