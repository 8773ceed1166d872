"""DSPy's `dspy.dsp`: the settings, under their oldest name. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules

__all__ = []

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
