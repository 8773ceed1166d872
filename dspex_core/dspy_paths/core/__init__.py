"""DSPy's `dspy.core`: what is sent to a language model and comes back. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.dspy_paths.core.types import *  # noqa: F403  the same names
from dspex_core.dspy_paths.core.types import __all__ as __all__

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
