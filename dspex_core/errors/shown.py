"""Values of users in the messages of errors. PYTEST_DONT_REWRITE

The `repr` of a value may fail: it may be nested too deeply, be too long a number, or raise an error of the user's
class. A message is written all the same.
"""

from __future__ import annotations

from typing import Any

ENDLESS = "holds itself or is nested too deeply"


def value_text(value: Any, limit: int | None) -> str:
    """Return the representation of a value, cut to a number of characters unless the limit is `None`."""
    try:
        return repr(value)[:limit]
    except RecursionError:
        return f"<{type(value).__name__} that {ENDLESS}>"
    except Exception:  # noqa: BLE001  the class is the user's
        return f"<{type(value).__name__} that cannot be shown>"
