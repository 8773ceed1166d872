"""When a predicted value is the expected one, and what words two texts share: for metrics. PYTEST_DONT_REWRITE

Data files hold texts where programs return dates, enums and numbers, so a value and its text are the same.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import re
import string
import unicodedata
from numbers import Number
from typing import Any

from dspex_core.plain.text import normalized

_COLLECTIONS = (list, tuple, set, frozenset)
_ARTICLES = frozenset({"a", "an", "the"})
# Scripts that write words without spaces between them: Thai and Lao, kana, Han, Hangul with its particles.
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CHARACTER = re.compile(f"[{_UNSPACED}]")
_LETTER = f"[^\\W{_UNSPACED}\uac00-\ud7af]"  # of a word that ends where letters end


def is_missing(value: Any) -> bool:
    """Whether a value stands for a missing one: `None`, or the NaN that tables have for an empty cell."""
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124  only NaN differs from itself


def as_text(value: Any) -> str:
    """Return a value as the text that a data file has for it."""
    if is_missing(value):
        return ""
    if isinstance(value, enum.Enum):
        return as_text(value.value)
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)


def same(expected: Any, predicted: Any, *, normalize: bool) -> bool:
    """Whether two values are equal, or one is the text of the other."""
    if is_missing(expected) or is_missing(predicted):
        return is_missing(expected) and is_missing(predicted)
    if isinstance(expected, str) and isinstance(predicted, str) and normalize:
        return normalized(as_text(expected)) == normalized(as_text(predicted))
    if expected == predicted:
        return True
    if normalize and isinstance(expected, str) != isinstance(predicted, str):
        text, value = (expected, predicted) if isinstance(expected, str) else (predicted, expected)
        return _is_text_of(text, value)
    return False


def alternatives(expected: Any, predicted: Any) -> list[Any] | None:
    """Return the expected values where any of several is right: a list of them for one predicted value."""
    several = isinstance(expected, _COLLECTIONS) and not isinstance(predicted, _COLLECTIONS)
    return list(expected) or None if several else None


def holds(text: str, part: str) -> bool:
    """Whether a text has another in it as whole words, both normalized."""
    before = f"(?<!{_LETTER})" if re.match(_LETTER, part) else ""
    after = f"(?!{_LETTER})" if re.search(f"{_LETTER}$", part) else ""
    return re.search(before + re.escape(part) + after, text) is not None


def words(text: str) -> list[str]:
    """Return the words of a text without punctuation and English articles; characters where no spaces part words.

    The text "A" alone is a choice, and not an article.
    """
    plain = "".join(character for character in normalized(text) if not _is_punctuation(character))
    found = _CHARACTER.sub(r" \g<0> ", plain).split()
    return found if found == ["a"] else [word for word in found if word not in _ARTICLES]


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")


def _is_text_of(text: str, value: Any) -> bool:
    if isinstance(value, enum.Enum):
        return normalized(text) == normalized(value.name) or _is_text_of(text, value.value)
    if isinstance(value, Number | decimal.Decimal) and not isinstance(value, bool):
        return _is_number(text, value)
    if isinstance(value, dt.date | dt.time):
        return _is_moment(text, value)
    scalar = not isinstance(value, (*_COLLECTIONS, dict))
    return scalar and normalized(text) == normalized(as_text(value))


def _is_number(text: str, value: Any) -> bool:
    try:
        return decimal.Decimal(text.strip()) == decimal.Decimal(str(value))
    except (decimal.InvalidOperation, ValueError):
        return normalized(text) == normalized(str(value))


def _is_moment(text: str, value: dt.date | dt.time) -> bool:
    try:
        return type(value).fromisoformat(text.strip()) == value
    except ValueError:
        return False
