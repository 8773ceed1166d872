"""DSPy's `dspy.utils.saving`: whole programs in files. PYTEST_DONT_REWRITE"""

from dspex_core.programs import load

__all__ = ["load"]
