"""DSPy's `dspy.teleprompt.mipro_optimizer_v2`: instructions and demos. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.mipro import MIPROv2

__all__ = ["MIPROv2"]
