"""DSPy's `dspy.predict.predict`: one call of a language model. PYTEST_DONT_REWRITE"""

from dspex_core.programs import Predict

__all__ = ["Predict"]
