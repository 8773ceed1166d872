"""DSPy's `dspy.teleprompt.gepa`: instructions by reflection. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.optimizers.gepa.optimizer import GEPA

__all__ = ["GEPA"]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
