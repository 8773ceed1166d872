"""DSPy's `dspy.teleprompt.grpo`: weights trained by rewards. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import GRPO

__all__ = ["GRPO"]
