"""DSPy's `dspy.dsp.utils.dpr`: answers in texts. PYTEST_DONT_REWRITE"""

from dspex_core.interop.dspy_tools.answers import (
    DPR_normalize,
    DPR_tokenize,
    SimpleTokenizer,
    STokenizer,
    Tokens,
    has_answer,
    locate_answers,
    strip_accents,
)

__all__ = [
    "DPR_normalize",
    "DPR_tokenize",
    "STokenizer",
    "SimpleTokenizer",
    "Tokens",
    "has_answer",
    "locate_answers",
    "strip_accents",
]
