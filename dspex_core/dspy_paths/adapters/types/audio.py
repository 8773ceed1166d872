"""DSPy's `dspy.adapters.types.audio`: sounds. PYTEST_DONT_REWRITE"""

from dspex_core.types import Audio

__all__ = ["Audio"]
