r"""Repair of a model's broken JSON. PYTEST_DONT_REWRITE

A model that writes LaTeX or a regular expression often forgets to double its backslashes. Then `\frac` is a form feed
before "rac", and `\beta` a backspace before "eta": no text has these.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_UNCLOSED = 100  # more is a model caught in a loop, on which json-repair would take seconds
# Commands whose letters after `\n` or `\t` do not begin a word.
_COMMANDS = (
    "nabla|neq|notin|newline|nonumber|nolimits|nexists|newcommand|"
    "tau|times|text(?:bf|it|rm|tt|sf|sc|up|color|style|width)?|theta|tilde|triangle|tfrac|tbinom|therefore|tanh"
)
_ESCAPE = re.compile(
    rf"\\(?:(?P<lone>[bfr](?=[a-zA-Z])|(?:{_COMMANDS})(?![a-zA-Z])|u(?![0-9a-fA-F]{{4}})|[^\"'\\/bfnrtu])|.)", re.DOTALL
)
_THOUSANDS = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")|(?P<colon>:\s*)(?P<number>-?\d{1,3}(?:,\d{3})+)(?=\s*[,}\n])', re.DOTALL
)


def mended(text: str) -> str:
    """Return a JSON text in which each backslash that was meant as one is doubled."""
    return _ESCAPE.sub(_doubled, text) if "\\" in text else text


def repaired(text: str) -> Iterator[Any]:
    """Yield the likely value of a broken JSON text, or nothing."""
    with foreign_code():
        from json_repair import repair_json  # only broken replies need it

    if text.count("{") + text.count("[") - text.count("}") - text.count("]") <= _MAX_UNCLOSED:
        with suppress(Exception):  # some replies make it trip over its own assertions
            with foreign_code():
                value = repair_json(_THOUSANDS.sub(_quoted, mended(text)), return_objects=True, skip_json_loads=True)
            yield value


def _doubled(escape: re.Match[str]) -> str:
    return f"\\{escape[0]}" if escape["lone"] else escape[0]


def _quoted(found: re.Match[str]) -> str:
    """Return a number with thousands separators as a text, so that it stays in one piece."""
    return found[0] if found["text"] else f'{found["colon"]}"{found["number"]}"'
