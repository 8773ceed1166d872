"""DSPy's `dspy.teleprompt.copro_optimizer`: instructions. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.copro import COPRO

__all__ = ["COPRO"]
