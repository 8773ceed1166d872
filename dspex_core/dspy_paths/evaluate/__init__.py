"""DSPy's `dspy.evaluate`: running and scoring a program on examples. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.evaluation.evaluate import Evaluate
from dspex_core.evaluation.result import EvaluationResult
from dspex_core.judges.ideas import CompleteAndGrounded, SemanticF1
from dspex_core.metrics.answers import EM, answer_exact_match, answer_passage_match, normalize_text

__all__ = [
    "EM",
    "CompleteAndGrounded",
    "Evaluate",
    "EvaluationResult",
    "SemanticF1",
    "answer_exact_match",
    "answer_passage_match",
    "normalize_text",
]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
