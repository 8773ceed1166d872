"""DSPy's `dspy.evaluate.evaluate`: running a program on examples. PYTEST_DONT_REWRITE"""

from dspex_core.evaluation.evaluate import Evaluate
from dspex_core.evaluation.result import EvaluationResult

__all__ = ["Evaluate", "EvaluationResult"]
