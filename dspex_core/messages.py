"""The values that go to a language model and come back from it. PYTEST_DONT_REWRITE

All are frozen and know their JSON form, which is what caches and cassettes store. A
provider's own dicts are made from them and turned into them in the engines only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr).encode


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
class Message:
    """One turn of a conversation.

    Args:
        role: `"system"`, `"user"` or `"assistant"`.
        content: Its text; where there are images, sounds or files in it, its parts in order.
    """

    role: str
    content: str | tuple[Part, ...]
    _digest: str = field(default="", init=False, repr=False, compare=False)  # once it was asked for

    @property
    def digest(self) -> str:
        """A stable hash of the message. It is kept: calls share the messages of their compiled prompt."""
        if not self._digest:
            content = self.content
            is_text = isinstance(content, str)
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
            return {"role": self.role, "content": content}
        return {"role": self.role, "content": [part.to_json() for part in content]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Rebuild a message from its stored form.

        Raises:
            ValueError: It has something else than a role and content, or content of an unknown form.
        """
        if stored.keys() != {"role", "content"}:
            raise ValueError(f"a message has 'role' and 'content', not {', '.join(map(repr, stored))}")
        match stored["content"]:
            case str(text):
                return cls(stored["role"], text)
            case [*parts]:
                return cls(stored["role"], tuple(part_from_json(part) for part in parts))
        raise ValueError(f"the content of a message is a text or a list of parts, not {stored['content']!r}")


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


_PLACES = frozenset({"rollout_id", "timeout", "cache"})  # not sampling parameters, though users write them so


@dataclass(frozen=True, slots=True)
class LMRequest:
    """What one call asks of a model.

    Args:
        messages: The conversation so far.
        config: Sampling parameters by their OpenAI names: `temperature`, `max_tokens`, `n`,
            `stop`, `seed`, ... An LM fills in its own defaults for those not named here.
        response_schema: Set when the reply is to be held to a JSON schema.
        rollout_id: Tells otherwise equal calls apart in caches and cassettes; never sent.
        timeout: Seconds, or the name of a timeout profile, for each try of this call; never sent or stored.
        cache: Whether this call may be answered from the cache and kept there; never sent or stored.
    """

    messages: tuple[Message, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    response_schema: ResponseSchema | None = None
    rollout_id: int | None = None
    timeout: float | str | None = None
    cache: bool | None = None

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
        rest, digests = self._rest(), [message.digest for message in self.messages]
        return _digest(f"{scope} {digests} {canonical_json(rest) if rest else ''}")

    def _rest(self) -> Json:
        stored: Json = {}
        if self.config:
            stored["config"] = dict(self.config)
        if self.response_schema is not None:
            stored["response_schema"] = self.response_schema.to_json()
        if self.rollout_id is not None:
            stored["rollout_id"] = self.rollout_id
        return stored


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
    """One completion: its text, why it ended, and the model's reasoning where it is given apart."""

    text: str
    finish_reason: str | None = None
    reasoning: str | None = None

    def to_json(self) -> Json:
        """Return the stored form, in which absent parts are left out."""
        stored: Json = {"text": self.text}
        if self.finish_reason is not None:
            stored["finish_reason"] = self.finish_reason
        if self.reasoning is not None:
            stored["reasoning"] = self.reasoning
        return stored


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
            outputs=tuple(LMOutput(**output) for output in stored["outputs"]),
            model=stored["model"],
            usage=Usage(**stored["usage"]),
            cost=stored.get("cost"),
            cached=cached,
            lm=stored.get("lm"),
        )


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces; what is no JSON as its `repr`."""
    return _encode(value)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
