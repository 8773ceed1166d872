"""The plugin's options: declared for pytest, and read once for a session. PYTEST_DONT_REWRITE"""

from pytest_dspex.options.declared import DEFAULT_LM, MARKERS, add_options
from pytest_dspex.options.given import (
    OPTIONS,
    Options,
    configure,
    has_gates,
    is_worker,
    keep_paths,
    wants_dspy_alias,
)

__all__ = [
    "DEFAULT_LM",
    "MARKERS",
    "OPTIONS",
    "Options",
    "add_options",
    "configure",
    "has_gates",
    "is_worker",
    "keep_paths",
    "wants_dspy_alias",
]
