"""A short path to callbacks under DSPy's names. PYTEST_DONT_REWRITE"""

from dspex_core.telemetry.callbacks import BaseCallback

__all__ = ["BaseCallback"]
