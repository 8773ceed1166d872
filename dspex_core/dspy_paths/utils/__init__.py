"""DSPy's `dspy.utils`: callbacks and what tests need. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules
from dspex_core.interop.dspy_tools.downloads import download
from dspex_core.interop.dspy_tools.experimental import experimental
from dspex_core.lm.dummy_vectors import DummyVectorizer
from dspex_core.lm.history import pretty_print_history
from dspex_core.lm.scripted import DummyLM
from dspex_core.programs.retrieve import dummy_rm
from dspex_core.streaming import StatusMessage, StatusMessageProvider
from dspex_core.telemetry.callbacks import BaseCallback
from dspex_core.telemetry.methods import with_callbacks

__all__ = [
    "BaseCallback",
    "DummyLM",
    "DummyVectorizer",
    "StatusMessage",
    "StatusMessageProvider",
    "download",
    "dummy_rm",
    "experimental",
    "pretty_print_history",
    "with_callbacks",
]

if not TYPE_CHECKING:  # a type checker finds them by itself
    __getattr__ = submodules(__name__)
