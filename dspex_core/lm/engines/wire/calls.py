"""The function calls in a reply, whole or in pieces. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dspex_core.messages import FunctionCall, canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.messages import Json

_NO_ARGUMENTS = frozenset({"", "null", "[]", '""', "None", "undefined"})
_ARGUMENTS = ("arguments", "input", "parameters", "args")  # where a call may have them
_FENCED = re.compile(r"```[\w-]*\s*\n(.*?)\s*```", re.DOTALL)


def read_calls(message: Json) -> tuple[FunctionCall, ...]:
    """Return the calls in a whole message."""
    if not (message.get("tool_calls") or message.get("function_call")):
        return ()
    return tuple(call for given in given_calls(message) if (call := read_call(given)) is not None)


def given_calls(message: Json) -> Iterator[Json]:
    """Yield the calls in a message or a piece of one, including the single call of OpenAI's older form."""
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else [calls]:
        if isinstance(call, dict):
            yield call
    if not calls and isinstance(message.get("function_call"), dict):
        yield {"index": 0, "function": message["function_call"]}


def read_call(given: Json) -> FunctionCall | None:
    """Return a whole call, or `None` if it is empty."""
    name, arguments = _name_and_arguments(given)
    id_ = _text(given.get("id")) or None
    return FunctionCall(name, arguments_text(arguments), id_) if name or arguments else None


def arguments_text(given: Any) -> str:
    """Return the arguments of a call as JSON text: `{}` if missing; text that is encoded twice is decoded once."""
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], dict):
        given = given[0]
    if not isinstance(given, str):
        return canonical_json(given) if given else "{}"
    text = given.strip()
    if fenced := _FENCED.fullmatch(text):
        return arguments_text(fenced[1])
    if text in _NO_ARGUMENTS:
        return "{}"
    if text.startswith('"'):
        inner = _decoded(text)
        if isinstance(inner, str) and (inner.lstrip()[:1] in ("{", '"') or inner.strip() in _NO_ARGUMENTS):
            return arguments_text(inner)
    elif text.startswith("["):
        inner = _decoded(text)
        if isinstance(inner, list) and len(inner) == 1 and isinstance(inner[0], dict):
            return canonical_json(inner[0])
    return given


class CallsInPieces:
    """The calls of one output that is still arriving.

    OpenAI sends an index with each piece, the id and the name once, and the arguments in pieces. Others leave out the
    index or send the same for all, repeat the id or the name, or send calls whole.
    """

    __slots__ = ("_calls",)

    def __init__(self) -> None:
        self._calls: list[_Growing] = []

    def add(self, piece: Json) -> None:
        """Add a piece to its call."""
        name, given = _name_and_arguments(piece)
        arguments = given if isinstance(given, str) else canonical_json(given) if given else ""
        id_, index = _text(piece.get("id")), _index(piece.get("index"))
        if index is not None and any(call.is_repeated(id_, name, arguments) for call in self._calls):
            return
        call = self._continued(index, id_, name=name, arguments=arguments)
        if call is None:
            call = _Growing(index, id_)
            self._calls.append(call)
        call.id = call.id or id_
        if name != call.name:  # some repeat it with each piece
            call.name += name
        call.arguments += arguments

    def _continued(self, index: int | None, id_: str, *, name: str, arguments: str) -> _Growing | None:
        """Return the call that a piece continues; `None` if it begins a new one."""
        calls = [call for call in self._calls if index is None or call.index in (index, None)]
        if not calls:
            return None
        same = next((call for call in reversed(calls) if id_ and call.id == id_), None)
        last = same or calls[-1]
        if not (name and last.name):  # only a first piece has a name
            return last
        if last.is_whole() and (arguments or name != last.name):
            return None
        if id_ and last.id:
            return same
        return last if index is not None or name == last.name else None

    def whole(self) -> tuple[FunctionCall, ...]:
        """Return the calls."""
        calls = self._calls
        if all(call.index is not None for call in calls):
            calls = sorted(calls, key=lambda call: call.index or 0)
        return tuple(call.whole() for call in calls if call.name or call.arguments)


class _Growing:
    """A call that is still arriving."""

    __slots__ = ("arguments", "id", "index", "name")

    def __init__(self, index: int | None, id_: str) -> None:
        self.index = index
        self.id = id_
        self.name = ""
        self.arguments = ""

    def is_repeated(self, id_: str, name: str, arguments: str) -> bool:
        """Whether a piece is all of this call once more, as some send it at the end."""
        is_same = bool(id_) and id_ == self.id and name == self.name and len(arguments) > len("{}")
        return is_same and self.is_whole() and _decoded(arguments) == _decoded(self.arguments)

    def is_whole(self) -> bool:
        return isinstance(_decoded(self.arguments), dict)

    def whole(self) -> FunctionCall:
        text = self.arguments.strip()
        if text.startswith("{}") and len(text) > len("{}"):  # some send empty arguments first
            text = text.removeprefix("{}")
        return FunctionCall(self.name, arguments_text(text), self.id or None)


def _name_and_arguments(call: Json) -> tuple[str, Any]:
    function = call.get("function")
    where = function if isinstance(function, dict) else call
    arguments = where.get("arguments")
    if arguments is None and "arguments" not in where:
        arguments = next((where[name] for name in _ARGUMENTS if name in where), None)
    return _text(where.get("name")), arguments


def _index(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
