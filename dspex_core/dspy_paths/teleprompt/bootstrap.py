"""DSPy's `dspy.teleprompt.bootstrap`: demos from successful runs. PYTEST_DONT_REWRITE"""

from dspex_core.optimizers import BootstrapFewShot

__all__ = ["BootstrapFewShot"]
