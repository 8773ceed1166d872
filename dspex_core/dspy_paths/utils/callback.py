"""DSPy's `dspy.utils.callback`: callbacks. PYTEST_DONT_REWRITE"""

from dspex_core.telemetry.callbacks import ACTIVE_CALL_ID, BaseCallback
from dspex_core.telemetry.methods import with_callbacks

__all__ = ["ACTIVE_CALL_ID", "BaseCallback", "with_callbacks"]
