"""DSPy's `dspy.utils.unbatchify`: single calls that become calls with many items. PYTEST_DONT_REWRITE"""

from dspex_core.interop.dspy_tools.unbatchify import Unbatchify

__all__ = ["Unbatchify"]
