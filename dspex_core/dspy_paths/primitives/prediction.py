"""DSPy's `dspy.primitives.prediction`: predictions. PYTEST_DONT_REWRITE"""

from dspex_core.example import Completions, Prediction

__all__ = ["Completions", "Prediction"]
