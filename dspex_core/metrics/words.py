"""What words texts of any script have: for metrics. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import string
import unicodedata

from dspex_core.plain.text import normalized

_ARTICLES = frozenset({"a", "an", "the"})
# Scripts that write words without spaces between them.
_UNSPACED = (
    "\u0e00-\u0fff"  # Thai, Lao, Tibetan
    "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"  # Burmese and its extensions
    "\u1780-\u17ff\u19e0-\u19ff"  # Khmer
    "\u1950-\u19df\u1a20-\u1aaf\uaa80-\uaadf"  # Tai Le, New Tai Lue, Tai Tham, Tai Viet
    "\u1b00-\u1b7f\ua980-\ua9df"  # Balinese, Javanese
    "\u3005-\u3007\u3040-\u312f\u31a0-\u31bf\u31f0-\u31ff\uff66-\uff9f"  # signs, kana, Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U0001b000-\U0001b16f\U00020000-\U0003ffff"  # Han, kana
)
_CHARACTER = re.compile(f"[{_UNSPACED}]")
_LETTER = f"[^\\W{_UNSPACED}\uac00-\ud7af]"  # of a word that ends where letters end; Hangul has particles


def holds(text: str, part: str) -> bool:
    """Whether a text has another in it as whole words, both normalized."""
    before = f"(?<!{_LETTER})" if re.match(_LETTER, part) else ""
    after = f"(?!{_LETTER})" if re.search(f"{_LETTER}$", part) else ""
    return re.search(before + re.escape(part) + after, text) is not None


def words(text: str) -> list[str]:
    """Return the words of a text without punctuation and English articles; characters where no spaces part words.

    The text "A" alone is a choice, and not an article.
    """
    found = _parted("".join(character for character in normalized(text) if not _is_punctuation(character)))
    return found if found == ["a"] else [word for word in found if word not in _ARTICLES]


def tokens(text: str) -> list[str]:
    """Return the runs of letters and digits in a text, articles included; characters where no spaces part words."""
    return _parted("".join(sign if unicodedata.category(sign)[0] in "LMN" else " " for sign in normalized(text)))


def _parted(text: str) -> list[str]:
    """Return the words of a text in which spaces part words, or each character is one with its marks."""
    found: list[str] = []
    for word in text.split():
        if _CHARACTER.search(word) is None:
            found.append(word)
        else:
            found += _characters(word)
    return found


def _characters(word: str) -> list[str]:
    """Return each character of scripts without spaces with its vowels and tones, and the words of others between."""
    found: list[str] = []
    in_word = False
    for sign in word:
        is_alone = _CHARACTER.match(sign) is not None
        if found and (in_word if not is_alone else unicodedata.category(sign)[0] == "M"):
            found[-1] += sign
        else:
            found.append(sign)
            in_word = not is_alone
    return found


def _is_punctuation(character: str) -> bool:
    return character in string.punctuation or unicodedata.category(character).startswith("P")
