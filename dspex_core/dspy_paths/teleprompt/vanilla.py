"""DSPy's `dspy.teleprompt.vanilla`: demos from labeled examples. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers import LabeledFewShot

__all__ = ["LabeledFewShot"]
