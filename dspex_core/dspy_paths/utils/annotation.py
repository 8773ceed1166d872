"""DSPy's `dspy.utils.annotation`: a mark in docstrings. PYTEST_DONT_REWRITE"""

from dspex_core.interop.dspy_tools.experimental import experimental

__all__ = ["experimental"]
