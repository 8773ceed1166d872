r"""Repair of a model's broken JSON. PYTEST_DONT_REWRITE

A model that writes LaTeX or a regular expression often forgets to double its backslashes. Then `\frac` is a form feed
before "rac", and `\beta` a backspace before "eta": no text has these.
"""

from __future__ import annotations

import json
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
# Texts and other values that json-repair would cut short or take for something else.
_STRING = r'"(?:[^"\\]|\\.)*"'
_ODD = re.compile(
    r'"""(?P<long>.*?)"""'
    rf"|(?P<joined>{_STRING}(?:\s*\+\s*{_STRING})+)|(?P<text>{_STRING})"
    r"|(?P<before>[:,\[]\s*)(?:`(?P<ticked>[^`]*)`|(?P<number>[+-]?\d[^,{}\[\]\n\"':]*(?:,\d{3}(?!\d))*)(?=\s*[,}\]\n]))"
    r"|\\.",  # in a text without an end: its quotes begin no texts
    re.DOTALL,
)
_PART = re.compile(_STRING, re.DOTALL)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_ENDS = ("}", "]", "`", ";", ")", ".", ">")  # a text that goes on behind the JSON
_BREAK = re.compile(r"(?:[,:.+{-]|[,{]\s*\"\")\s*\Z")  # the last of these is a name without a value
_COMMENT = re.compile(r"\s*(?:#|//|/\*)")
_OMITTED = re.compile(r"[,\[{:]\s*(?:\.\.\.|\u2026)\s*[,\]}]")
_OPEN_TEXT = re.compile(r"[,:\[{]\s*'")  # once those that end are gone
_SIMPLE = re.compile(rf"{_STRING}|'(?:[^'\\\n]|\\.)*'(?=\s*[,:\]}}])|\\.", re.DOTALL)


def mended(text: str) -> str:
    """Return a JSON text in which each backslash that was meant as one is doubled."""
    return _ESCAPE.sub(_doubled, text) if "\\" in text else text


def repaired(text: str) -> Iterator[Any]:
    """Yield the likely value of a broken JSON text, or nothing where a part of it is missing."""
    with foreign_code():
        from json_repair import repair_json  # only broken replies need it

    if text.count("{") + text.count("[") - text.count("}") - text.count("]") <= _MAX_UNCLOSED and not _lacks_parts(
        text
    ):
        with suppress(Exception):  # some replies make it trip over its own assertions
            with foreign_code():
                value = repair_json(_ODD.sub(_as_json, mended(text)), return_objects=True, skip_json_loads=True)
            yield value


def _lacks_parts(text: str) -> bool:
    """Whether a text breaks off in a list or a string, or leaves out items by dots."""
    marks = _SIMPLE.sub('""', mended(text))
    if _OMITTED.search(marks):
        return True
    lacks_list = marks.count("[") > marks.count("]")
    if lacks_list and marks.count("{") > marks.count("}"):
        return True
    is_open = text.rstrip()[-1:] not in _ENDS
    is_in_text = marks.count('"') % 2 == 1 or bool(_OPEN_TEXT.search(marks))
    return is_open and (lacks_list or is_in_text or bool(_BREAK.search(marks)))


def _doubled(escape: re.Match[str]) -> str:
    return f"\\{escape[0]}" if escape["lone"] else escape[0]


def _as_json(found: re.Match[str]) -> str:
    """Return a value as JSON has it: what is not a number is a text, whose type may still make one of it."""
    if found["text"] or found[0][0] == "\\":
        return found[0]
    if found["joined"]:
        return json.dumps("".join(json.loads(part, strict=False) for part in _PART.findall(found["joined"])))
    if found["long"] is not None:
        return json.dumps(found["long"].removeprefix("\n"))
    if found["ticked"] is not None:
        return found["before"] + json.dumps(found["ticked"])
    number = _COMMENT.split(found["number"], maxsplit=1)[0].rstrip()
    is_plain = _NUMBER.fullmatch(number) or number != found["number"].rstrip()
    return found[0] if is_plain else found["before"] + json.dumps(number)
