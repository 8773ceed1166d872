"""DSPy's `dspy.teleprompt.bettertogether`: prompts and weights. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import BetterTogether

__all__ = ["BetterTogether"]
