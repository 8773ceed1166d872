"""DSPy's `dspy.evaluate.auto_evaluation`: judges of free text. PYTEST_DONT_REWRITE"""

from dspex_core.evaluation.judges import DecompositionalSemanticRecallPrecision, SemanticF1, SemanticRecallPrecision

__all__ = ["DecompositionalSemanticRecallPrecision", "SemanticF1", "SemanticRecallPrecision"]
