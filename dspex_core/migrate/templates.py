"""Templates of nunjucks, as far as they only put in variables. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE = re.compile(r"\{\{-?\s*(\w+(?:\.\w+)*)\s*-?\}\}")
_OTHER = re.compile(r"\{\{|\{%|\{#")
_DEEPEST = 5  # variables in variables; deeper ones may name each other


class NotPlainError(Exception):
    """A template does more than to put in variables, or names one that is not there."""


def rendered(value: Any, variables: Mapping[str, Any]) -> Any:
    """Put variables into a text, or into the texts of a list or an object.

    Raises:
        NotPlainError: It needs more than that.
    """
    if isinstance(value, list):
        return [rendered(each, variables) for each in value]
    if isinstance(value, dict):
        return {name: rendered(each, variables) for name, each in value.items()}
    return _text(value, variables, _DEEPEST) if isinstance(value, str) else value


def _text(text: str, variables: Mapping[str, Any], deepest: int) -> str:
    if not _OTHER.search(text):
        return text
    if _OTHER.search(_VARIABLE.sub("", text)) or deepest == 0:
        raise NotPlainError(f"the template {value_text(text, 80)} needs promptfoo to be rendered")

    def put_in(found: re.Match[str]) -> str:
        value = _looked_up(found[1], variables)
        return _text(value, variables, deepest - 1) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    return _VARIABLE.sub(put_in, text)


def _looked_up(path: str, variables: Mapping[str, Any]) -> Any:
    found: Any = variables
    for name in path.split("."):
        if not isinstance(found, dict) or name not in found:
            raise NotPlainError(f"the template names {path!r}, which is not a variable of the test")
        found = found[name]
    return found


def as_instructions(prompt: str) -> str:
    """Return a prompt as a signature's instructions, where variables are named and not put in.

    Raises:
        NotPlainError: It does more than to put in variables.
    """
    if _OTHER.search(_VARIABLE.sub("", prompt)):
        raise NotPlainError("the prompt has more than variables in it")
    return _VARIABLE.sub(lambda found: f"`{found[1]}`", prompt).strip()
