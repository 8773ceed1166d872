"""Types by the names that they have where a signature is written. PYTEST_DONT_REWRITE

The one place that looks into a frame: DSPy's users write `Predict("text -> person: Person")` in a module that has
a class `Person`. Only otherwise unknown names are looked up, and only in the frame that called the library.
"""

from __future__ import annotations

import sys
import typing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

_PACKAGE = __name__.partition(".")[0]


def caller_type(name: str) -> Any:
    """Return the type of a name, possibly dotted, in the code that called the library.

    Returns `None` if the name is unknown there or is not a type.
    """
    frame = _caller()
    if frame is None:
        return None
    first, *rest = name.split(".")
    found = frame.f_locals.get(first, frame.f_globals.get(first))
    for part in rest:
        found = getattr(found, part, None)
    return found if _is_type(found) else None


def _caller() -> FrameType | None:
    """Return the innermost frame that is not the library's own."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  all public ways read source files
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame = frame.f_back
    return frame


def _is_type(value: Any) -> bool:
    return isinstance(value, type) or typing.get_origin(value) is not None or type(value).__module__ == "typing"
