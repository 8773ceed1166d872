"""The turns of a conversation. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any, Self, overload

from dspex_core.errors.shown import value_text
from dspex_core.messages.canonical import Json, canonical_json, digest_of
from dspex_core.messages.functions import FunctionCall
from dspex_core.messages.parts import Part, TextPart, part_from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OWN_KEYS = frozenset({"role", "content", "tool_calls", "tool_call_id"})
_PASSED_ON = frozenset(
    [
        "annotations",
        "audio",
        "cache_control",
        "function_call",
        "name",
        "provider_specific_fields",
        "reasoning_content",
        "refusal",
        "thinking_blocks",
    ]
)

_PLAIN = frozenset({"role", "content"})


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Args:
        role: `"system"`, `"user"`, `"assistant"`, or `"tool"` for the result of a function call.
        content: Its text; where there are images, sounds or files in it, its parts in order.
        tool_calls: The function calls that an assistant's turn asks for.
        tool_call_id: Which call a tool's turn is the result of.
        rest: Other members, such as `name`, which are passed on as they were given.
    """

    role: str
    content: str | tuple[Part, ...]
    tool_calls: tuple[FunctionCall, ...] = ()
    tool_call_id: str | None = None
    rest: Mapping[str, Any] | None = None
    _digest: str = field(default="", init=False, repr=False, compare=False)  # once it was asked for

    @property
    def digest(self) -> str:
        """A stable hash of the message. It is kept: calls share the messages of their compiled prompt."""
        if not self._digest:
            content = self.content
            is_text = isinstance(content, str) and not (self.tool_calls or self.tool_call_id is not None or self.rest)
            described = f"text {content}" if is_text else f"parts {canonical_json(self.to_json())}"
            object.__setattr__(self, "_digest", digest_of(f"{self.role} {described}"))
        return self._digest

    @property
    def name(self) -> str | None:
        """Who says it, or which tool, where that is given."""
        return self.rest.get("name") if self.rest else None

    @property
    def parts(self) -> tuple[Part | FunctionCall, ...]:
        """The parts of the content, then the function calls."""
        content = self.content
        shown = ((TextPart(content),) if content else ()) if isinstance(content, str) else content
        return (*shown, *self.tool_calls)

    @property
    def text(self) -> str:
        """The content as people read it: a short text stands for each image, sound or file."""
        content = self.content
        return content if isinstance(content, str) else "".join([part.text for part in content])

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        content = self.content
        if isinstance(content, str):
            stored: Json = {"role": self.role, "content": content}
        else:
            stored = {"role": self.role, "content": [part.to_json() for part in content]}
        if self.tool_calls:
            stored["tool_calls"] = [call.to_json() for call in self.tool_calls]
        if self.tool_call_id is not None:
            stored["tool_call_id"] = self.tool_call_id
        return {**stored, **self.rest} if self.rest else stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild a message from its stored form.

        Raises:
            ValueError: It lacks a role or content, has what no message has, or content of an unknown form.
        """
        if stored.keys() == _PLAIN and isinstance(stored["content"], str):  # nearly all; a fifth of a cached call
            return cls(stored["role"], stored["content"])
        rest: Any = {name: value for name, value in stored.items() if name not in _OWN_KEYS and value is not None}
        needed = {"role"} if stored.get("tool_calls") else {"role", "content"}
        if not (needed <= stored.keys() and rest.keys() <= _PASSED_ON):
            raise ValueError(
                "a message has 'role' and 'content', and maybe 'tool_calls', 'tool_call_id', "
                f"{', '.join(map(repr, sorted(_PASSED_ON)))}, not {', '.join(map(repr, stored))}"
            )
        calls = tuple(FunctionCall.from_json(call) for call in stored.get("tool_calls") or ())
        rest = {"tool_calls": calls, "tool_call_id": stored.get("tool_call_id"), "rest": rest or None}
        match stored.get("content"):
            case str(text):
                return cls(stored["role"], text, **rest)
            case [*parts]:
                return cls(stored["role"], tuple(part_from_json(part) for part in parts), **rest)
            case None if calls:
                return cls(stored["role"], "", **rest)
        raise ValueError(
            f"the content of a message is a text or a list of parts, not {value_text(stored.get('content'), 200)}"
        )


class SharedTurns(tuple[Message, ...]):  # noqa: SLOT001  what it has made once is kept in its dict
    """Messages that many conversations begin with; what stands for them in keys is made once."""

    @cached_property
    def digests(self) -> str:
        """The digests of the messages, each as its `repr`."""
        return ", ".join([repr(message.digest) for message in self])


class Conversation(Sequence[Message]):
    """Messages that others begin with, too, and those of its own after them; it reads as one tuple of all.

    However many are shared, to make one costs the same, and so does keeping it in a history.
    """

    __slots__ = ("_own", "_shared")

    def __init__(self, shared: SharedTurns, own: tuple[Message, ...]) -> None:
        self._shared = shared
        self._own = own

    @property
    def digests(self) -> str:
        """The text of the list of the messages' digests."""
        own = [repr(message.digest) for message in self._own]
        return f"[{', '.join([self._shared.digests, *own] if self._shared else own)}]"

    def __len__(self) -> int:
        return len(self._shared) + len(self._own)

    def __iter__(self) -> Iterator[Message]:
        return chain(self._shared, self._own)

    @overload
    def __getitem__(self, index: int) -> Message: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Message, ...]: ...

    def __getitem__(self, index: int | slice) -> Message | tuple[Message, ...]:
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, tuple | Conversation) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))
