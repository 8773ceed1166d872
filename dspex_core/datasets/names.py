"""The names of fields: a letter with an accent has two forms, which are the same text.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def composed_name(name: str) -> str:
    """Return a name in its composed form, which those in Python's code have."""
    return name if not isinstance(name, str) or name.isascii() else unicodedata.normalize("NFC", name)


def composed(values: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """Return values by their composed names, and a name that two of them then have, if any do."""
    found = {composed_name(name): value for name, value in values.items()}
    if len(found) == len(values):
        return found, None
    names = list(map(composed_name, values))
    return found, next(name for name in names if names.count(name) > 1)
