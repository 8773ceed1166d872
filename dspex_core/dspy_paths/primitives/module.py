"""DSPy's `dspy.primitives.module`: the base of programs. PYTEST_DONT_REWRITE"""

from dspex_core.programs import Module

__all__ = ["Module"]
