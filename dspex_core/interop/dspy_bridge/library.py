"""The installed DSPy. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code, load_stand_ins


def library() -> Any:
    """Import DSPy, which takes seconds.

    Raises:
        ConfigurationError: It is not installed, or `dspy` is another module or an alias of `dspex_core` here.
    """
    known = sys.modules.get("dspy")
    if known is None:
        try:
            with foreign_code():
                known = import_module("dspy")
        except ModuleNotFoundError as error:
            if error.name != "dspy":
                raise
            message = "this needs DSPy, which is not installed: pip install 'pytest-dspex[dspy]'"
            raise ConfigurationError(message) from error
    if known.__name__ != "dspy":
        raise ConfigurationError(
            "`dspy` is an alias of dspex_core in this process, so DSPy itself cannot be used: its programs are ours "
            "already, or remove the alias"
        )
    if not hasattr(known, "Module"):
        place = getattr(known, "__file__", None)
        raise ConfigurationError(f"the module `dspy` that Python finds ({place}) is not DSPy: give it another name")
    load_stand_ins()
    return known
