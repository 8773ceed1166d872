"""DSPy's `dspy.teleprompt.avatar_optimizer`: tool use. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import AvatarOptimizer

__all__ = ["AvatarOptimizer"]
