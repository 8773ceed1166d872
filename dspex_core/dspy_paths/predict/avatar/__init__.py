"""DSPy's `dspy.predict.avatar`: an agent. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.dspy_paths.not_there_yet import Avatar

__all__ = ["Avatar"]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
