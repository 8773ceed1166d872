"""DSPy's `dspy.datasets.math`: competition problems. PYTEST_DONT_REWRITE"""

from dspex_core.datasets.built_in import MATH, extract_answer

__all__ = ["MATH", "extract_answer"]
