"""DSPy's `dspy.teleprompt.bettertogether`: prompts and weights. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers.better_together import BetterTogether

__all__ = ["BetterTogether"]
