"""DSPy's `dspy.adapters.types.document`: documents. PYTEST_DONT_REWRITE"""

from dspex_core.types import Document

__all__ = ["Document"]
