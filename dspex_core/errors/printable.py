"""Texts of models, servers and datasets, made safe for a terminal. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re

# Controls (C0 but tab and line feed, DEL, C1), marks that change the direction of text, and lone surrogates.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return a text with its control characters escaped, as `\x1b`; line feeds and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
