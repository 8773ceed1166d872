"""DSPy's `dspy.adapters.types.code`: code. PYTEST_DONT_REWRITE"""

from dspex_core.types import Code

__all__ = ["Code"]
