"""Libraries that some optimizers stand on. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any

from dspex_core.errors.optional import optional


def imported(name: str, need: str) -> Any:
    """Import a library of the extra `optimize`.

    Args:
        name: The library's module.
        need: Who needs it, for the message: `"GEPA needs the library gepa"`.

    Raises:
        ConfigurationError: It is not installed.
    """
    return optional(name, need, extra="optimize")
