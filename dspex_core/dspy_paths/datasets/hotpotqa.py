"""DSPy's `dspy.datasets.hotpotqa`: questions that need several sources. PYTEST_DONT_REWRITE"""

from dspex_core.datasets.built_in import HotPotQA

__all__ = ["HotPotQA"]
