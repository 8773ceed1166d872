"""DSPy's `dspy.experimental`: types that DSPy may still change. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.types import Citations, Document

__all__ = ["Citations", "Document"]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
