"""DSPy's `dspy.utils.callback`: callbacks. PYTEST_DONT_REWRITE"""

from dspex_core.telemetry.callbacks import ACTIVE_CALL_ID, BaseCallback

__all__ = ["ACTIVE_CALL_ID", "BaseCallback"]
