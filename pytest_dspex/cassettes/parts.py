"""What many requests of a cassette have in common, such as a prompt with its demos, stored once. PYTEST_DONT_REWRITE

A part of a request stands in it as `{"$part": name}`, and as `{"$parts": name}` if it is several elements of a list.
Whether a value is a part depends on the value alone, so another recorded request changes no line of those before it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from pytest_dspex.cassettes.entry import line_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.plugin_api import Json

_PART, _PARTS, _LITERAL = "$part", "$parts", "$literal"
_MARKS = frozenset({_PART, _PARTS, _LITERAL})
_SHORT = 120  # characters of JSON that are not worth a reference
_SHORT_TURN = 200
_LONGEST_TEXT = 1_000  # characters; a longer one would hide the rest of a line
_TURNS = frozenset({"messages", "contents", "input"})
# What a single call asks, in the APIs there are; it is read in its place.
_ASKED = frozenset({*_TURNS, "inputs", "prompt", "query", "message", "text", "texts", "method", "url"})
_DIGEST = 12  # characters


def name_of(kind: str, value: Any) -> str:
    """Return the name of a value in a cassette: its kind, and a hash."""
    digest = hashlib.sha256(line_of(value).encode()).hexdigest()
    return f"{kind}-{digest[:_DIGEST]}"


class Packing:
    """Takes requests apart; `parts` has by their names the parts that they refer to."""

    def __init__(self) -> None:
        self.parts: dict[str, Any] = {}

    def packed(self, request: Json) -> Json:
        """Return a request with references in the place of its parts."""
        return self._escaped({name: self._section(name, value) for name, value in request.items()}, like=request)

    def _section(self, name: str, value: Any) -> Any:
        if name == "body" and isinstance(value, dict):
            return self.packed(value)
        if name in _TURNS and isinstance(value, list) and all(isinstance(turn, dict) for turn in value):
            return self._turns(value)
        if name not in _ASKED and len(line_of(value)) >= _SHORT:
            return {_PART: self._put(name, self._inline(value))}
        return self._inline(value)

    def _turns(self, turns: list[Json]) -> list[Any]:
        """Return a conversation with a reference in the place of all turns but the last."""
        before, last = turns[:-1], [self._inline(turn) for turn in turns[-1:]]
        if len(line_of(before)) < _SHORT:
            return [*map(self._inline, before), *last]
        # A part of their own for long turns: the next request of the conversation has them, too.
        return [{_PARTS: self._put("prompt", [self._turn(turn) for turn in before])}, *last]

    def _turn(self, turn: Json) -> Any:
        inline = self._inline(turn)
        return (
            {_PART: self._put(str(turn.get("role", "turn")), inline)} if len(line_of(turn)) >= _SHORT_TURN else inline
        )

    def _inline(self, value: Any) -> Any:
        if isinstance(value, str) and len(value) > _LONGEST_TEXT:
            return {_PART: self._put("text", value)}
        if isinstance(value, list):
            return [self._inline(item) for item in value]
        if isinstance(value, dict):
            return self._escaped({name: self._inline(inner) for name, inner in value.items()}, like=value)
        return value

    def _escaped(self, packed: Json, *, like: Json) -> Json:
        return packed if _MARKS.isdisjoint(like) else {_LITERAL: packed}

    def _put(self, kind: str, value: Any) -> str:
        name = name_of(kind, value)
        self.parts[name] = value
        return name


class Unpacking:
    """Puts requests together again.

    Args:
        parts: The parts by their names; each is unpacked once, and shared by all requests that refer to it.
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = parts
        self._whole: dict[str, Any] = {}
        self._open: list[str] = []

    def unpacked(self, value: Any) -> Any:
        """Return a value with its parts in their places.

        Raises:
            ValueError: A part does not exist, or is within itself.
        """
        if isinstance(value, list):
            return self._list(value)
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, inner),) = value.items()
            if name == _PART:
                return self._part(inner)
            if name == _LITERAL and isinstance(inner, dict):
                value = inner
        return {name: self.unpacked(inner) for name, inner in value.items()}

    def _list(self, items: list[Any]) -> list[Any]:
        whole: list[Any] = []
        for item in items:
            if isinstance(item, dict) and item.keys() == {_PARTS}:
                several = self._part(item[_PARTS])
                if not isinstance(several, list):
                    raise ValueError(f"the part {item[_PARTS]!r} is not a list")
                whole += several
            else:
                whole.append(self.unpacked(item))
        return whole

    def _part(self, name: Any) -> Any:
        if not isinstance(name, str) or name not in self._parts:
            raise ValueError(f"the part {name!r} is not in this file")
        if name in self._open:
            raise ValueError(f"the part {name!r} refers to itself")
        if name not in self._whole:
            self._open.append(name)
            self._whole[name] = self.unpacked(self._parts[name])
            self._open.pop()
        return self._whole[name]
