"""Users' values and errors as short texts; their own `__str__` and `__repr__` may fail. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dspex_core.errors.shown import ENDLESS, value_text

__all__ = ["error_text", "unwritten_text", "value_text"]

_OF_PYDANTIC = ("Maximum serialization depth exceeded", "Circular reference detected")


def error_text(error: BaseException) -> str:
    """Write an error in one line: its kind and its message."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001  the class is the user's
        return f"{type(error).__name__} (whose message cannot be shown)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def unwritten_text(error: Exception) -> str:
    """Write in one line why a value could not be written as a text or as data."""
    if isinstance(error, RecursionError) or str(error).startswith(_OF_PYDANTIC):
        return f"it {ENDLESS}"
    return error_text(error)
