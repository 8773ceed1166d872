"""DSPy's `dspy.primitives.example`: examples. PYTEST_DONT_REWRITE"""

from dspex_core.example import Example

__all__ = ["Example"]
