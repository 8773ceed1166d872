"""What one call asks of a model. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.messages.canonical import Json, canonical_json, digest_of
from dspex_core.messages.conversation import Conversation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.messages.conversation import Message
    from dspex_core.messages.functions import FunctionSpec, GivenTool
    from dspex_core.messages.response import LMChunk

_ROLLOUTS_OF_AN_ATTEMPT = 1_000_000
_PLACES = frozenset({"rollout_id", "timeout", "cache"})  # not sampling parameters, though users write them so


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
        tools: The functions that the model may ask to have called, and tools of the provider.
        rollout_id: Tells otherwise equal calls apart in caches and cassettes; never sent.
        timeout: Seconds, or the name of a timeout profile, for each try of this call; never sent or stored.
        cache: Whether this call may be answered from the cache and kept there; never sent or stored.
        on_chunk: Called with each piece of the reply as it arrives, in whichever thread reads it; never sent
            or stored. A reply that does not arrive in pieces, such as a cached one, is emitted as one piece.
        options: How this one call reaches its model (address, key, headers, ...), by name; an `LM` sets it apart
            from `config`. Never stored, shown or part of the key.
        kind: What the call asks for: a reply, or the vector of the text in its one message.
        model: The model's name, for an LM whose `forward` takes requests; not part of the key.
    """

    messages: Sequence[Message]
    config: Mapping[str, Any] = field(default_factory=dict)
    response_schema: ResponseSchema | None = None
    rollout_id: int | None = None
    timeout: float | str | None = None
    cache: bool | None = None
    tools: tuple[FunctionSpec | GivenTool, ...] = ()
    on_chunk: Callable[[LMChunk], None] | None = field(default=None, repr=False, compare=False)
    options: Mapping[str, Any] | None = field(default=None, repr=False, compare=False)
    kind: Literal["reply", "embedding"] = "reply"
    model: str = field(default="", compare=False)

    @property
    def is_sampled(self) -> bool:
        """Whether equal requests get different replies: unless their temperature is 0, they may."""
        return self.kind == "reply" and self.config.get("temperature") != 0

    def with_defaults(self, defaults: Mapping[str, Any]) -> LMRequest:
        """Return the request with `defaults` for the parameters that it leaves open.

        Settings among them that are not sampling parameters (`rollout_id`, `timeout`, `cache`), as
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

    def with_config_overrides(self, **config: Any) -> LMRequest:
        """Return the request with other sampling parameters."""
        return replace(self, config={**self.config, **config})

    def of_attempt(self, attempt: int) -> LMRequest:
        """Return the request of the n-th attempt, from 1, at one piece of work: a rollout of its own if it is sampled.

        An attempt may use many rollouts itself, as `BestOfN` does; those of different attempts are far apart.
        """
        if attempt == 1 or not self.is_sampled:
            return self
        return replace(self, rollout_id=(self.rollout_id or 0) + (attempt - 1) * _ROLLOUTS_OF_AN_ATTEMPT)

    def to_json(self) -> Json:
        """Return the stored form, in which absent parts are left out."""
        return {"messages": [message.to_json() for message in self.messages], **self._rest()}

    def key(self, *scope: str | None) -> str:
        """Return a stable hash of the request within a scope (model, endpoint, test case, ...)."""
        rest, messages = self._rest(), self.messages
        digests = messages.digests if isinstance(messages, Conversation) else [turn.digest for turn in messages]
        return digest_of(f"{scope} {digests} {canonical_json(rest) if rest else ''}")

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
        if self.kind != "reply":
            stored["kind"] = self.kind
        return stored
