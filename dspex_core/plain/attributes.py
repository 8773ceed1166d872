"""Data with access by key or attribute, like the objects of providers' clients. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import Any


class Attributes(dict[str, Any]):
    """A dict whose keys are attributes, too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"no attribute {name!r}; use one of: {', '.join(map(repr, self))}") from None


def attributes(value: Any) -> Any:
    """Return JSON-like data with each dict in it as `Attributes`."""
    if isinstance(value, dict):
        return Attributes((name, attributes(part)) for name, part in value.items())
    if isinstance(value, list | tuple):
        return [attributes(part) for part in value]
    return value
