"""DSPy's `dspy.utils.callback_context`: which call is under way. PYTEST_DONT_REWRITE"""

from dspex_core.telemetry.callbacks import ACTIVE_CALL_ID

__all__ = ["ACTIVE_CALL_ID"]
