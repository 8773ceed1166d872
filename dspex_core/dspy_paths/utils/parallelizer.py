"""DSPy's `dspy.utils.parallelizer`: a function on many items at once. PYTEST_DONT_REWRITE"""

from dspex_core.interop.dspy_tools.executor import ParallelExecutor

__all__ = ["ParallelExecutor"]
