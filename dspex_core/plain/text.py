"""What texts are alike, and which can be written. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import unicodedata


def normalized(text: str) -> str:
    """Return the text without differences of composition, case and white space."""
    folded = unicodedata.normalize("NFC", text).casefold()
    return " ".join(unicodedata.normalize("NFC", folded).split())


def is_encodable(text: str) -> bool:
    """Return whether a text has no half of a surrogate pair, which no file in UTF-8 holds."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
