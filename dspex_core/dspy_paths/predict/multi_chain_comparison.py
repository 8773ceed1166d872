"""DSPy's `dspy.predict.multi_chain_comparison`: one answer from several attempts. PYTEST_DONT_REWRITE"""

from dspex_core.programs.attempts.comparison import MultiChainComparison

__all__ = ["MultiChainComparison"]
