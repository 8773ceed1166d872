"""The one JSON text of a value, and its hash. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hashlib
import json
from typing import Any

Json = dict[str, Any]

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr).encode


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces; a value that JSON does not have as its `repr`."""
    return _encode(value)


def digest_of(text: str) -> str:
    """Return a stable hash of a text."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
