"""DSPy's `dspy.dsp.utils.settings`: the settings. PYTEST_DONT_REWRITE"""

from dspex_core.config import settings

__all__ = ["settings"]
