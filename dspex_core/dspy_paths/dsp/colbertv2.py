"""DSPy's `dspy.dsp.colbertv2`: a client of a search server. PYTEST_DONT_REWRITE"""

from dspex_core.retrievers.colbert import ColBERTv2

__all__ = ["ColBERTv2"]
