"""DSPy's `dspy.adapters.types.history`: earlier turns. PYTEST_DONT_REWRITE"""

from dspex_core.types import History

__all__ = ["History"]
