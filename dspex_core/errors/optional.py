"""Libraries of extras: imported where they are used, or an error that names the extra. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.errors.programs import ConfigurationError


def optional(module: str, need: str, *, extra: str) -> Any:
    """Import a module of an optional library.

    Args:
        module: Its name, such as `"scipy.optimize"`.
        need: Who needs it, for the message: `"GEPA needs the library gepa"`.
        extra: The extra of this distribution that installs it.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        with foreign_code():
            return import_module(module)
    except ImportError as error:
        raise ConfigurationError(f"{need}, which is not installed: pip install 'pytest-dspex[{extra}]'") from error
