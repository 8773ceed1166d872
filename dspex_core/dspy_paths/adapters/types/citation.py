"""DSPy's `dspy.adapters.types.citation`: citations. PYTEST_DONT_REWRITE"""

from dspex_core.types import Citations

__all__ = ["Citations"]
