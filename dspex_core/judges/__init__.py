"""Judges: metrics that ask a language model, and how far they agree with people. PYTEST_DONT_REWRITE"""

from dspex_core.judges.agreement import Calibration
from dspex_core.judges.base import BaseJudge
from dspex_core.judges.correction import Corrected
from dspex_core.judges.ideas import CompleteAndGrounded, SemanticF1
from dspex_core.judges.rubric import AnswerRelevance, Judge
from dspex_core.judges.scale import Scale

__all__ = [
    "AnswerRelevance",
    "BaseJudge",
    "Calibration",
    "CompleteAndGrounded",
    "Corrected",
    "Judge",
    "Scale",
    "SemanticF1",
]
