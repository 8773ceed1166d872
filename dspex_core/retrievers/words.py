"""Tokenizes texts in any script for search. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import unicodedata

# Scripts that put no spaces between words (or, as Hangul, put endings to them): Thai, Lao, Myanmar, Khmer,
# kana, Han, Hangul. Character bigrams serve as words there, as in Lucene's CJK analyzer.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\uf900-\ufaff\U00020000-\U0003ffff]+"
)


class _Kept(dict[int, str]):
    """A table for `str.translate`: keeps letters, digits and marks; all other characters separate words."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kept = character.isalnum() or unicodedata.category(character).startswith("M")
        self[code] = character if kept else " "
        return self[code]


_KEPT = _Kept()


def words(text: str) -> list[str]:
    """Return the casefolded words; in scripts without spaces, character bigrams."""
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_KEPT)
    return _UNSPACED.sub(_pairs, plain).split()


def _pairs(match: re.Match[str]) -> str:
    run = match[0]
    return f" {' '.join(run[start : start + 2] for start in range(max(len(run) - 1, 1)))} "
