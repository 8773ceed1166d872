"""DSPy's `dspy.dsp.utils`: the settings, under their oldest name, and small tools. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.config import settings as settings
from dspex_core.dspy_paths import submodules
from dspex_core.dspy_paths.dsp.utils import dpr, utils
from dspex_core.dspy_paths.dsp.utils.dpr import *  # noqa: F403  the names of its modules
from dspex_core.dspy_paths.dsp.utils.utils import *  # noqa: F403

__all__ = ["settings"]
__all__ += dpr.__all__
__all__ += utils.__all__

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
