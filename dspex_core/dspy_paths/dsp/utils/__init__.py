"""DSPy's `dspy.dsp.utils`: the settings, under their oldest name. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.config import settings
from dspex_core.dspy_paths import submodules

__all__ = ["settings"]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
