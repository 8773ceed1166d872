"""DSPy's `dspy.utils.usage_tracker`: counting tokens. PYTEST_DONT_REWRITE"""

from dspex_core.spending.usage import UsageTracker, track_usage

__all__ = ["UsageTracker", "track_usage"]
