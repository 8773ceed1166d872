"""Hides credentials with spaces that a comparison has split over lines. PYTEST_DONT_REWRITE

pytest's "Full diff" writes a long text as several quoted pieces, split at white space, each on a line with marks of its
own, and with lines of the other text between them. So each piece of a credential is looked for by itself, where such a
line begins or ends.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_WORDS = 40  # of one credential
_SHORTEST = 4  # characters of a piece; a shorter one says next to nothing, and would hide other texts
_WORD = re.compile(r".+?(?:\s+|\\n|\Z)", re.DOTALL)
_COLOR = r"\x1b\[[0-9;]*m"
_BEGIN = rf"^(?:{_COLOR}|[-+?|E>\s([{{,])*[bru]?['\"]"
_END = rf"['\"](?:{_COLOR}|\s)*$"


def without_wrapped(text: str, secrets: tuple[str, ...], *, hidden: str) -> str:
    """Return a text without the pieces of credentials that its lines begin or end with, in quotation marks."""
    if "\n" not in text:
        return text
    begins, ends = _patterns(secrets)
    if begins is not None:
        text = begins.sub(lambda found: found[1] + hidden, text)
    return text if ends is None else ends.sub(hidden, text)


@lru_cache(maxsize=16)
def _patterns(secrets: tuple[str, ...]) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    words = [found for secret in secrets if 1 < len(found := _WORD.findall(secret)) <= _MOST_WORDS]
    tails, heads = (_alternatives(piece for each in words for piece in pieces(each)) for pieces in (_tails, _heads))
    begins = re.compile(rf"({_BEGIN})(?:{tails})", re.MULTILINE) if tails else None
    return begins, re.compile(rf"(?:{heads})(?={_END})", re.MULTILINE) if heads else None


def _heads(words: list[str]) -> Iterator[str]:
    """Yield what may stand before the end of a line."""
    for end in range(1, len(words)):
        yield "".join(words[:end])


def _tails(words: list[str]) -> Iterator[str]:
    """Yield what may stand behind the begin of a line: the rest of a credential, or words out of its middle."""
    for begin in range(1, len(words)):
        for end in range(begin + 1, len(words) + 1):
            yield "".join(words[begin:end])


def _alternatives(pieces: Iterator[str]) -> str:
    telling = {piece for piece in pieces if len(piece.strip()) >= _SHORTEST}
    return "|".join(re.escape(piece) for piece in sorted(telling, key=lambda piece: (-len(piece), piece)))
