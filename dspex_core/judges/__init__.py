"""Judges: metrics that ask a language model, and how far they agree with people. PYTEST_DONT_REWRITE"""

from dspex_core.judges.agreement import Calibration, PositionBias, cohens_kappa
from dspex_core.judges.base import BaseJudge
from dspex_core.judges.calibration import acalibrate, calibrate
from dspex_core.judges.conversation import ConversationJudge
from dspex_core.judges.correction import Corrected
from dspex_core.judges.faithfulness import Faithfulness
from dspex_core.judges.g_eval import GEval
from dspex_core.judges.ideas import CompleteAndGrounded, SemanticF1
from dspex_core.judges.pairwise import Comparison, PairwiseJudge, WinRate, win_rate
from dspex_core.judges.rubric import AnswerRelevance, Judge
from dspex_core.judges.scale import Scale

__all__ = [
    "AnswerRelevance",
    "BaseJudge",
    "Calibration",
    "Comparison",
    "CompleteAndGrounded",
    "ConversationJudge",
    "Corrected",
    "Faithfulness",
    "GEval",
    "Judge",
    "PairwiseJudge",
    "PositionBias",
    "Scale",
    "SemanticF1",
    "WinRate",
    "acalibrate",
    "calibrate",
    "cohens_kappa",
    "win_rate",
]
