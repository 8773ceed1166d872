"""Normalization of texts, for metrics and to compare rows. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import unicodedata


def normalized(text: str) -> str:
    """Return the text without differences of composition, case and white space."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())
