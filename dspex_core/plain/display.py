"""Users' values and errors as short texts; their own `__str__` and `__repr__` may fail. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any


def error_text(error: BaseException) -> str:
    """Write an error in one line: its kind and its message."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001  the class is the user's
        return f"{type(error).__name__} (whose message cannot be shown)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def value_text(value: Any, limit: int) -> str:
    """Return the representation of a value, cut to a number of characters."""
    try:
        return repr(value)[:limit]
    except Exception:  # noqa: BLE001  as above
        return f"<{type(value).__name__} that cannot be shown>"
