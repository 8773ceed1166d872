"""Libraries that some optimizers stand on. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.foreign_code import foreign_code


def imported(name: str, need: str) -> Any:
    """Import a library of the extra `optimize`.

    Args:
        name: The library's module.
        need: Who needs it, for the message: `"GEPA needs the library gepa"`.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        with foreign_code():
            return import_module(name)
    except ImportError as error:
        raise ConfigurationError(f"{need}, which is not installed: pip install 'pytest-dspex[optimize]'") from error
