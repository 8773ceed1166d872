"""DSPy's `dspy.evaluate`: running and scoring a program on examples. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.evaluation.evaluate import Evaluate, EvaluationResult
from dspex_core.evaluation.judges import SemanticF1

__all__ = ["Evaluate", "EvaluationResult", "SemanticF1"]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
