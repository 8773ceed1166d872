"""The values that go to a language model and come back from it. PYTEST_DONT_REWRITE

All are frozen and know their JSON form, which is what caches and cassettes store. A
provider's own dicts are made from them and turned into them in the engines only.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Json = dict[str, Any]

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr).encode


_MESSAGE_KEYS = frozenset({"role", "content", "tool_calls", "tool_call_id"})
_MEDIA = ("image_url", "input_audio", "file")
_READABLE = 100  # characters of a medium's address that are shown; a data URI may have millions


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text between media."""

    text: str

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        return {"type": "text", "text": self.text}


@dataclass(frozen=True, slots=True)
class MediaPart:
    """An image, a sound or a file in a message.

    Args:
        kind: `"image_url"`, `"input_audio"` or `"file"`.
        value: What OpenAI's form of a part of that kind holds: `{"url": ...}`, `{"data": ..., "format": ...}`,
            `{"file_data": ..., "filename": ...}`.
    """

    kind: str
    value: Mapping[str, Any]

    @property
    def text(self) -> str:
        """A short text that stands for it, for people; a long value is told by its hash."""
        shown = canonical_json(dict(self.value))
        if len(shown) > _READABLE:
            shown = f"{shown[:_READABLE]}... {_digest(shown)[:12]}"
        return f"[{self.kind} {shown}]"

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        return {"type": self.kind, self.kind: dict(self.value)}


Part = TextPart | MediaPart


def part_from_json(stored: Any) -> Part:
    """Rebuild a part from its OpenAI form.

    Raises:
        ValueError: It is none of the parts that a message can have.
    """
    match stored:
        case {"type": "text", "text": str(text)}:
            return TextPart(text)
        case {"type": str(kind)} if kind in _MEDIA and isinstance(stored.get(kind), dict):
            return MediaPart(kind, stored[kind])
    kinds = ", ".join(f'{{"type": {kind!r}, {kind!r}: {{...}}}}' for kind in _MEDIA)
    raise ValueError(f'a part of a message is {{"type": "text", "text": "..."}}, {kinds}, not {repr(stored)[:200]}')


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function that a model may ask to have called.

    Args:
        name: What the model calls it.
        description: What it does, for the model.
        parameters: The JSON schema of its arguments, an object.
    """

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """Rebuild it from its OpenAI form.

        Raises:
            ValueError: It has another form.
        """
        match stored:
            case {"type": "function", "function": {"name": str(name)}}:
                function = stored["function"]
                return cls(name, function.get("description") or "", function.get("parameters") or {})
        form = '{"type": "function", "function": {"name": ..., "description": ..., "parameters": {...}}}'
        raise ValueError(f"a tool is written as {form}, not {repr(stored)[:200]}")


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A model's wish to have a function called; `arguments` is the text that it wrote, which should be JSON."""

    name: str
    arguments: str
    id: str | None = None

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        call: Json = {"type": "function", "function": {"name": self.name, "arguments": self.arguments}}
        return call if self.id is None else {"id": self.id, **call}

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """Rebuild it from its OpenAI form.

        Raises:
            ValueError: It has another form.
        """
        match stored:
            case {"function": {"name": str(name)}}:
                given = stored["function"].get("arguments") or "{}"
                return cls(name, given if isinstance(given, str) else canonical_json(given), stored.get("id"))
        form = '{"id": ..., "type": "function", "function": {"name": ..., "arguments": "{...}"}}'
        raise ValueError(f"a tool call is written as {form}, not {repr(stored)[:200]}")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation.

    Args:
        role: `"system"`, `"user"`, `"assistant"`, or `"tool"` for the result of a function call.
        content: Its text; where there are images, sounds or files in it, its parts in order.
        tool_calls: The function calls that an assistant's turn asks for.
        tool_call_id: Which call a tool's turn is the result of.
    """

    role: str
    content: str | tuple[Part, ...]
    tool_calls: tuple[FunctionCall, ...] = ()
    tool_call_id: str | None = None
    _digest: str = field(default="", init=False, repr=False, compare=False)  # once it was asked for

    @property
    def digest(self) -> str:
        """A stable hash of the message. It is kept: calls share the messages of their compiled prompt."""
        if not self._digest:
            content = self.content
            is_text = isinstance(content, str) and not self.tool_calls and self.tool_call_id is None
            told = f"text {content}" if is_text else f"parts {canonical_json(self.to_json())}"
            object.__setattr__(self, "_digest", _digest(f"{self.role} {told}"))
        return self._digest

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
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild a message from its stored form.

        Raises:
            ValueError: It lacks a role or content, has what no message has, or content of an unknown form.
        """
        if not {"role", "content"} <= stored.keys() <= _MESSAGE_KEYS:
            raise ValueError(
                "a message has 'role' and 'content', and maybe 'tool_calls' or 'tool_call_id', "
                f"not {', '.join(map(repr, stored))}"
            )
        calls = tuple(FunctionCall.from_json(call) for call in stored.get("tool_calls") or ())
        rest: Any = {"tool_calls": calls, "tool_call_id": stored.get("tool_call_id")}
        match stored["content"]:
            case str(text):
                return cls(stored["role"], text, **rest)
            case [*parts]:
                return cls(stored["role"], tuple(part_from_json(part) for part in parts), **rest)
            case None if calls:
                return cls(stored["role"], "", **rest)
        raise ValueError(f"the content of a message is a text or a list of parts, not {stored['content']!r}")


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
        yield from self._shared
        yield from self._own

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


@dataclass(frozen=True, slots=True)
class ResponseSchema:
    """The JSON schema that the reply must follow, for models that can be held to one.

    Args:
        name: What the provider calls it.
        schema: The schema.
        strict: Whether it keeps to what OpenAI's strict mode takes: no objects with keys of any name.
    """

    name: str
    schema: Mapping[str, Any]
    strict: bool = True

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        return {"name": self.name, "schema": dict(self.schema), "strict": self.strict}


_CUT_OFF = ("length", "content_filter")
_PLACES = frozenset({"rollout_id", "timeout", "cache"})  # not sampling parameters, though users write them so


@dataclass(frozen=True, slots=True)
class LMRequest:
    """What one call asks of a model.

    Args:
        messages: The conversation so far.
        config: Sampling parameters by their OpenAI names: `temperature`, `max_tokens`, `n`,
            `stop`, `seed`, ... An LM fills in its own defaults for those not named here.
        response_schema: Set when the reply is to be held to a JSON schema.
        tools: The functions that the model may ask to have called.
        rollout_id: Tells otherwise equal calls apart in caches and cassettes; never sent.
        timeout: Seconds, or the name of a timeout profile, for each try of this call; never sent or stored.
        cache: Whether this call may be answered from the cache and kept there; never sent or stored.
        on_chunk: Is told of each piece of the reply as it arrives, from whichever thread reads it; never sent
            or stored. A reply that does not arrive in pieces, such as a cached one, is told as one piece.
        options: How this one call reaches its model (address, key, headers, ...), by name; an `LM` sets it apart
            from `config`. Never stored, shown or part of the key.
    """

    messages: Sequence[Message]
    config: Mapping[str, Any] = field(default_factory=dict)
    response_schema: ResponseSchema | None = None
    rollout_id: int | None = None
    timeout: float | str | None = None
    cache: bool | None = None
    tools: tuple[FunctionSpec, ...] = ()
    on_chunk: Callable[[LMChunk], None] | None = field(default=None, repr=False, compare=False)
    options: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)

    def with_defaults(self, defaults: Mapping[str, Any]) -> LMRequest:
        """Return the request with `defaults` for the parameters that it leaves open.

        What is no sampling parameter but stands among them (`rollout_id`, `timeout`, `cache`), as
        users may write it, gets its own place.
        """
        if not defaults and not self.config:
            return self
        merged = {key: value for key, value in {**defaults, **self.config}.items() if value is not None}
        if merged == self.config and _PLACES.isdisjoint(merged):
            return self
        rollout_id, timeout, cache = (merged.pop(name, None) for name in ("rollout_id", "timeout", "cache"))
        return replace(
            self,
            config=merged,
            rollout_id=rollout_id if self.rollout_id is None else self.rollout_id,
            timeout=timeout if self.timeout is None else self.timeout,
            cache=cache if self.cache is None else self.cache,
        )

    def to_json(self) -> Json:
        """Return the stored form, in which absent parts are left out."""
        return {"messages": [message.to_json() for message in self.messages], **self._rest()}

    def key(self, *scope: str | None) -> str:
        """Return a stable hash of the request within a scope (model, endpoint, test case, ...)."""
        rest, messages = self._rest(), self.messages
        digests = messages.digests if isinstance(messages, Conversation) else [turn.digest for turn in messages]
        return _digest(f"{scope} {digests} {canonical_json(rest) if rest else ''}")

    def _rest(self) -> Json:
        stored: Json = {}
        if self.config:
            stored["config"] = dict(self.config)
        if self.response_schema is not None:
            stored["response_schema"] = self.response_schema.to_json()
        if self.tools:
            stored["tools"] = [tool.to_json() for tool in self.tools]
        if self.rollout_id is not None:
            stored["rollout_id"] = self.rollout_id
        return stored


class LMChunk(NamedTuple):  # made for every few letters; a frozen dataclass takes three times as long
    """A piece of a reply that is still arriving: some more text, reasoning, or both.

    `output` says of which of the `n` outputs, counted from 0.
    """

    text: str = ""
    reasoning: str = ""
    output: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens spent."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.prompt_tokens + other.prompt_tokens, self.completion_tokens + other.completion_tokens)

    def to_json(self) -> Json:
        """Return the stored form."""
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens}


@dataclass(frozen=True, slots=True)
class LMOutput:
    """One completion: its text, why it ended, the model's reasoning where it is given apart, the calls it asks for.

    `finish_reason` is one of OpenAI's words where the provider's has the same meaning: `"stop"`, `"tool_calls"`,
    `"length"` (it reached `max_tokens`), `"content_filter"`.
    """

    text: str
    finish_reason: str | None = None
    reasoning: str | None = None
    tool_calls: tuple[FunctionCall, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "finish_reason", _shared(self.finish_reason))

    @property
    def is_cut_off(self) -> bool:
        """Whether it ended before the model was done: at a limit of tokens, or by a filter."""
        return self.finish_reason in _CUT_OFF

    def to_json(self) -> Json:
        """Return the stored form, in which absent parts are left out."""
        stored: Json = {"text": self.text}
        if self.finish_reason is not None:
            stored["finish_reason"] = self.finish_reason
        if self.reasoning is not None:
            stored["reasoning"] = self.reasoning
        if self.tool_calls:
            stored["tool_calls"] = [call.to_json() for call in self.tool_calls]
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild an output from its stored form."""
        calls = tuple(FunctionCall.from_json(call) for call in stored.get("tool_calls", ()))
        return cls(stored["text"], stored.get("finish_reason"), stored.get("reasoning"), calls)


@dataclass(frozen=True, slots=True)
class LMResponse:
    """What one call brought back: `n` outputs, the tokens they took, and dollars where known.

    `cached` is true when the answer came from a cache or a cassette; nothing was paid for it.
    `lm` is the model string of the fallback that answered, if one did.
    """

    outputs: tuple[LMOutput, ...]
    model: str = ""
    usage: Usage = Usage()
    cost: float | None = None
    cached: bool = False
    lm: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", _shared(self.model))

    @property
    def is_cut_off(self) -> bool:
        """Whether an output ended before the model was done, so that the response is not kept in caches."""
        return any(output.is_cut_off for output in self.outputs)

    @property
    def text(self) -> str:
        """The first output's text."""
        return self.outputs[0].text

    def to_json(self) -> Json:
        """Return the stored form. `cached` is not part of it."""
        stored: Json = {
            "outputs": [output.to_json() for output in self.outputs],
            "model": self.model,
            "usage": self.usage.to_json(),
        }
        if self.cost is not None:
            stored["cost"] = self.cost
        if self.lm is not None:
            stored["lm"] = self.lm
        return stored

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], *, cached: bool = False) -> LMResponse:
        """Rebuild a response from its stored form."""
        return cls(
            outputs=tuple(LMOutput.from_json(output) for output in stored["outputs"]),
            model=stored["model"],
            usage=Usage(**stored["usage"]),
            cost=stored.get("cost"),
            cached=cached,
            lm=stored.get("lm"),
        )


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces; what is no JSON as its `repr`."""
    return _encode(value)


def _shared(text: str | None) -> str | None:
    """Return a text that most replies have in common as one object, since histories keep it with each of them."""
    return sys.intern(text) if type(text) is str else text  # a server may send anything


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
