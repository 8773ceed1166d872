"""DSPy's `dspy.utils.syncify`: async programs in sync code. PYTEST_DONT_REWRITE"""

from dspex_core.programs.sync_async import syncify

__all__ = ["syncify"]
