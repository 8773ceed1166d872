"""DSPy's `dspy.adapters.types.base_type`: the base of types. PYTEST_DONT_REWRITE"""

from dspex_core.types import Type

__all__ = ["Type"]
