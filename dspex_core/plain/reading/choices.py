"""Matches text with the choices of a type. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from dspex_core.plain.data import json_text, to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

_AROUND = "\"'`*_ \t\r\n"
_BETWEEN = re.compile(r"(?<=[^\W\d])[\s_-]+(?=[^\W\d])")  # not a minus: -1 is not 1
_MEMBER = re.compile(r"[^\W\d]\w*\.(\w+)")
_AFTER = ".!,;:"
_CALL = re.compile(r"([^\W\d][\w.-]*)\(.*\)", re.DOTALL)


def choices(annotation: Any) -> dict[str, Any]:
    """Return the choices of a type by their names; empty if the type is not a choice."""
    if type(annotation) is type:  # plain classes, the most frequent case
        return {}
    if get_origin(annotation) is Literal:
        return {_name(choice): choice for choice in get_args(annotation)}
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        names = {member.name: member for member in annotation}
        return names | {_name(member): member for member in annotation}
    return {}


def choice(named: Mapping[str, Any], text: str) -> Any:
    """Return the choice that a text means; quotes, spaces and, if only one fits, case are forgiven."""
    name = text.strip().strip("\"'`").strip()
    for called in (text, text.strip(), name, undecorated(text)):
        if called in named:
            return named[called]
    for normal in (str.casefold, _words):
        wanted = normal(undecorated(text)) or normal(name)
        similar = {id(found): found for called, found in named.items() if normal(called) == wanted and wanted}
        if similar:
            return next(iter(similar.values())) if len(similar) == 1 else name
    call = _CALL.fullmatch(undecorated(text))  # of a function that is one of the choices
    return choice(named, call[1]) if call and not any("(" in called for called in named) else name


def _name(value: Any) -> str:
    """Return a choice as it is written: text as it is, all else as JSON."""
    return value if type(value) is str else json_text(to_json(value))


def undecorated(text: str) -> str:
    """Return a short text without the quotes, the emphasis and the full stop that a model puts around a value."""
    return text.strip(_AROUND).rstrip(_AFTER).strip(_AROUND)


def _words(name: str) -> str:
    """Return a name without what stands between its words: `first_choice` as `First Choice`; `Level.HIGH` as `HIGH`."""
    found = _MEMBER.fullmatch(name)
    return _BETWEEN.sub("", (found[1] if found else name).casefold())


def normal_name(name: str) -> str:
    """Return a name as all its spellings have it: `First Name`, `first-name` and `firstName` are one."""
    return "".join(character for character in name.casefold() if character.isalnum())
