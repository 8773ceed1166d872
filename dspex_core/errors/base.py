"""The base of all errors. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any

from dspex_core.errors.portable import reduced
from dspex_core.errors.printable import printable


class DSPexError(Exception):
    """Base class of every error that dspex raises on purpose; `code` names its kind where DSPy has a name for it."""

    __module__ = __package__  # the path that users import it from, in tracebacks and telemetry
    code: str | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        """Let our errors be known by the path of the package, wherever in it they stand."""
        super().__init_subclass__(**options)
        if cls.__module__.startswith(f"{__package__}."):
            cls.__module__ = __package__

    def __str__(self) -> str:
        return printable(super().__str__())  # it may quote a reply, which may hold control characters

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)
