"""A mark in docstrings. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def experimental(f: Any = None, version: str | None = None) -> Any:
    """Note in a docstring that the function or class may change: `@experimental` or `@experimental(version=)`."""
    return _marking(version) if f is None else _marking(version)(f)


def _marking(version: str | None) -> Callable[[Any], Any]:
    def mark(marked: Any) -> Any:
        kind = "class" if inspect.isclass(marked) else "property" if isinstance(marked, property) else "function"
        since = f" (introduced in v{version})" if version else ""
        notice = f"Experimental: This {kind} may change or be removed in a future release without warning{since}."
        doc = inspect.cleandoc(marked.__doc__) if marked.__doc__ else ""
        marked.__doc__ = f"{notice}\n\n{doc}" if doc else notice
        return marked

    return mark
