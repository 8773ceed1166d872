"""DSPy's `dspy.utils.usage_tracker`: counting tokens. PYTEST_DONT_REWRITE"""

from dspex_core.spending.usage import UsageTracker
from dspex_core.telemetry.tracked_usage import track_usage

__all__ = ["UsageTracker", "track_usage"]
