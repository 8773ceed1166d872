"""The one JSON text of a value, and its hash. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from dspex_core.errors import ConfigurationError
from dspex_core.errors.shown import ENDLESS

Json = dict[str, Any]

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr).encode


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces; a value that JSON does not have as its `repr`.

    Raises:
        ConfigurationError: The value has no such text.
    """
    try:
        return _encode(value)
    except Exception as error:  # also of a `repr` of the user's
        raise unwritable(error) from error


def unwritable(error: Exception) -> ConfigurationError:
    """Return the error of what is to be sent and has no JSON text."""
    is_endless = isinstance(error, RecursionError) or str(error).startswith("Circular reference detected")
    reason = f"a value in it {ENDLESS}" if is_endless else f"{type(error).__name__}: {error!s:.200}"
    return ConfigurationError(f"what is sent to an LM must be JSON data: {reason}")


def digest_of(text: str) -> str:
    """Return a stable hash of a text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
