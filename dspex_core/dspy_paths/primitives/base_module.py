"""DSPy's `dspy.primitives.base_module`: the base of modules. PYTEST_DONT_REWRITE"""

from dspex_core.programs import Module as BaseModule

__all__ = ["BaseModule"]
