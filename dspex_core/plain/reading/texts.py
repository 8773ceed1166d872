"""Readings of a text for a field that is not text. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import ast
import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dspex_core.plain.reading.numbers import as_written
from dspex_core.plain.repair import mended, repaired

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCED = re.compile(r"```[^\n`]*\n(.*?)```", re.DOTALL)
_NOT_JSON = (ValueError, RecursionError)  # a reply of 10,000 brackets exceeds the decoder's depth
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
_CUT_NUMBER = re.compile(r"(?<![\d.])\d{1,3},0\d\d(?!\d)")  # `1,000`, which Python takes for 1 and 0
_BULLET = re.compile(r"\s*(?:[-*+\u2022\u25aa\u2023\u2013\u2014]|\(?\d{1,4}[.)]|\(?[a-zA-Z][)])\s+(?=\S)")
_HEADING = re.compile(r".*:\s*\Z")
_STRICT = json.JSONDecoder(parse_float=as_written)
_LENIENT = json.JSONDecoder(strict=False, parse_float=as_written)  # a line break in a string is one
_MAX_LINES = 10_000


def literal_readings(text: str) -> Iterator[Any]:
    """Yield the readings of a text as JSON or as a Python literal, whole or in a fenced block."""
    for candidate in (text, *fenced(text)):
        yield from decoded(candidate)
        yield from _literal(candidate)


def repaired_readings(text: str) -> Iterator[Any]:
    """Yield the likely readings of broken JSON text."""
    for candidate in (text, *fenced(text)):
        if candidate.lstrip().startswith(("{", "[")) and not _CUT_NUMBER.search(_STRING.sub("", candidate)):
            yield from repaired(candidate)


def fenced(text: str) -> list[str]:
    """Return the contents of the fenced blocks in a text."""
    return [block[1] for block in _FENCED.finditer(text)] if "```" in text else []


def decoded(text: str) -> Iterator[Any]:
    """Yield the value of a JSON text, or nothing."""
    if "\\" not in text:
        with suppress(*_NOT_JSON):
            yield _STRICT.decode(text)
            return
    with suppress(*_NOT_JSON):
        yield _LENIENT.decode(mended(text))


def lines_of(text: str) -> list[str] | None:
    """Return the items of a list with bullets, with numbers or a line each; `None` where it is not one."""
    lines = [line.rstrip() for line in text.strip().splitlines() if line.strip()]
    if not 0 < len(lines) <= _MAX_LINES:
        return None
    bullets = [_BULLET.match(line) is not None for line in lines]
    if not any(bullets):
        is_plain = len(lines) > 1 and not any(map(_HEADING.match, lines)) and "```" not in text
        return [line.strip() for line in lines] if is_plain else None
    first = bullets.index(True)
    if first > 1 or (first == 1 and not _HEADING.match(lines[0])):
        return None  # prose with a list in it: which part is meant is a guess
    items: list[str] = []
    for line, is_bullet in zip(lines[first:], bullets[first:], strict=True):
        if is_bullet:
            items.append(_BULLET.sub("", line, count=1).strip())
        elif line[0].isspace():
            items[-1] += f"\n{line.strip()}"
        else:
            return None
    return items


def has_bullets(text: str) -> bool:
    """Whether a text is a list with bullets or numbers."""
    return lines_of(text) is not None and any(map(_BULLET.match, text.splitlines()))


def _literal(text: str) -> Iterator[Any]:
    """Yield the value of a Python literal; one without brackets is a tuple to Python only."""
    text = text.strip()
    if "\\" in text or _CUT_NUMBER.search(_STRING.sub("", text)):
        return  # an unknown escape makes Python's parser warn; json-repair reads these
    with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        found = ast.literal_eval(text)
        if not isinstance(found, tuple) or text.startswith("(") or not re.search(r"\d,\d", text):
            yield found
