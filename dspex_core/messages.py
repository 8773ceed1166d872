"""The values that go to a language model and come back from it. PYTEST_DONT_REWRITE

All are frozen and know their JSON form, which is what caches and cassettes store. A
provider's own dicts are made from them and turned into them in the engines only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=repr).encode


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation: `role` is `"system"`, `"user"` or `"assistant"`."""

    role: str
    content: str

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        return {"role": self.role, "content": self.content}


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


@dataclass(frozen=True, slots=True)
class LMRequest:
    """What one call asks of a model.

    Args:
        messages: The conversation so far.
        config: Sampling parameters by their OpenAI names: `temperature`, `max_tokens`, `n`,
            `stop`, `seed`, ... An LM fills in its own defaults for those not named here.
        response_schema: Set when the reply is to be held to a JSON schema.
        rollout_id: Tells otherwise equal calls apart in caches and cassettes; never sent.
    """

    messages: tuple[Message, ...]
    config: Mapping[str, Any] = field(default_factory=dict)
    response_schema: ResponseSchema | None = None
    rollout_id: int | None = None

    def with_defaults(self, defaults: Mapping[str, Any]) -> LMRequest:
        """Return the request with `defaults` for the parameters that it leaves open."""
        merged = {key: value for key, value in {**defaults, **self.config}.items() if value is not None}
        default_rollout = merged.pop("rollout_id", None)
        rollout_id = default_rollout if self.rollout_id is None else self.rollout_id
        if merged == self.config and rollout_id == self.rollout_id:
            return self
        return replace(self, config=merged, rollout_id=rollout_id)

    def to_json(self) -> Json:
        """Return the stored form, in which absent parts are left out."""
        stored: Json = {"messages": [message.to_json() for message in self.messages]}
        if self.config:
            stored["config"] = dict(self.config)
        if self.response_schema is not None:
            stored["response_schema"] = self.response_schema.to_json()
        if self.rollout_id is not None:
            stored["rollout_id"] = self.rollout_id
        return stored

    def key(self, *scope: str | None) -> str:
        """Return a stable hash of the request within a scope (model, endpoint, test case, ...)."""
        text = canonical_json([scope, self.to_json()])
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


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
    """

    outputs: tuple[LMOutput, ...]
    model: str = ""
    usage: Usage = Usage()
    cost: float | None = None
    cached: bool = False

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
        )


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces; what is no JSON as its `repr`."""
    return _encode(value)
