"""When two texts count as the same, for metrics and for telling rows apart. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import unicodedata


def normalized(text: str) -> str:
    """Return the text without the differences that say nothing: composition, case and white space."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())
