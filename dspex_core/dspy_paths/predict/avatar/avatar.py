"""DSPy's `dspy.predict.avatar.avatar`. PYTEST_DONT_REWRITE"""

from dspex_core.dspy_paths.not_there_yet import Avatar

__all__ = ["Avatar"]
