"""DSPy's `dspy.adapters.types.file`: files. PYTEST_DONT_REWRITE"""

from dspex_core.types import File

__all__ = ["File"]
