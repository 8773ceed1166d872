"""DSPy's `dspy.utils.saving`: whole programs in files. PYTEST_DONT_REWRITE"""

from dspex_core.interop.dspy_tools.versions import get_dependency_versions
from dspex_core.programs import load

__all__ = ["get_dependency_versions", "load"]
