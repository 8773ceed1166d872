"""Text of rows, replies and errors, made safe for a terminal or a report. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Controls (C0 but tab and line feed, DEL, C1), marks that change the direction of text, line ends that only some
# programs know, and lone surrogates, which can be neither printed nor sent from an xdist worker.
_UNSAFE = r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
_COLOR = r"(\x1b\[[0-9;]*m)"
_LINE = 160  # characters of a message or a feedback


def shown(text: str, *, keep_color: bool = False) -> str:
    r"""Return a text with its control characters escaped, as `\x1b`; line feeds and tabs stay.

    Args:
        text: The text.
        keep_color: Whether to keep sequences that set a colour, as pytest itself writes them to a terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    # compiled at the first use, and kept by `re`: it takes as long as 100 texts, and few sessions need it
    if keep_color:
        return re.sub(rf"{_COLOR}|{_UNSAFE}", lambda match: match[1] or _escaped(match[0]), text)
    return re.sub(_UNSAFE, lambda match: _escaped(match[0]), text)


def shown_on_a_line(text: str) -> str:
    """Return a text as one line: runs of white space become a space, other control characters are escaped."""
    return shown(" ".join(text.split()))


def shown_briefly(text: str) -> str:
    """Return a text as one line of at most 160 characters."""
    line = shown_on_a_line(text)
    return line if len(line) <= _LINE else line[: _LINE - 3] + "..."


def shown_fields(found: Any) -> str:
    """Return the fields of a row or of an output as text, not yet made safe."""
    if not isinstance(found, dict):
        return "" if found is None else _value(found)
    return "; ".join(f"{name}: {_value(value)}" for name, value in found.items())


def shown_numbers(details: Mapping[str, Any]) -> str:
    """Return the numbers among the details of a score, not yet made safe."""
    numbers = {name: value for name, value in details.items() if isinstance(value, int | float)}
    return f"({', '.join(f'{name} {value:.4g}' for name, value in numbers.items())})" if numbers else ""


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Return JSON data, or a tuple of it, with each of its texts changed, the names in dictionaries included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): each_text(each, change) for name, each in value.items()}
    if isinstance(value, list):
        return [each_text(each, change) for each in value]
    if isinstance(value, tuple):
        return tuple(each_text(each, change) for each in value)
    return value


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
