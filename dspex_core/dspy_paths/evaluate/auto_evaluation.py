"""DSPy's `dspy.evaluate.auto_evaluation`: judges of free text. PYTEST_DONT_REWRITE"""

from dspex_core.judges.ideas import (
    AnswerCompleteness,
    AnswerGroundedness,
    CompleteAndGrounded,
    DecompositionalSemanticRecallPrecision,
    SemanticF1,
    SemanticRecallPrecision,
    f1_score,
)

__all__ = [
    "AnswerCompleteness",
    "AnswerGroundedness",
    "CompleteAndGrounded",
    "DecompositionalSemanticRecallPrecision",
    "SemanticF1",
    "SemanticRecallPrecision",
    "f1_score",
]
