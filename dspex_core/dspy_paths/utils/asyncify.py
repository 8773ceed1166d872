"""DSPy's `dspy.utils.asyncify`: sync code in async programs. PYTEST_DONT_REWRITE"""

from dspex_core.programs.sync_async import asyncify

__all__ = ["asyncify"]
