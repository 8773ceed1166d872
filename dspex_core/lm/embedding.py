"""Embeddings from a model behind an API, with cache, retries and budget. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.lm.addresses import bare_address
from dspex_core.lm.cache import default_cache
from dspex_core.lm.engines.stand_ins import stand_in
from dspex_core.lm.engines.vectors import vector_from_text
from dspex_core.lm.limits.budget import within_budget
from dspex_core.lm.limits.retries import with_retries
from dspex_core.lm.limits.timeouts import TimeoutProfile, timeout_seconds
from dspex_core.lm.options import scope_of, set_apart, with_options, without_credentials
from dspex_core.lm.providers import EngineChoice, Target, checked_key, connect, locate
from dspex_core.lm.recorded import past_recorder, recorder_of
from dspex_core.lm.tries import Engine, engine_for
from dspex_core.messages import LMRequest, LMResponse, Message, Usage
from dspex_core.plain.secrets import AddressText, SecretMapping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dspex_core.flow.steps import Flow


class EmbeddingModel:
    """Embeds texts by a model.

    Args:
        model: `provider/model`, as for an `LM`.
        api_base: The address of an API that speaks the OpenAI wire format.
        api_key: The key; without it the provider's environment variable is read at the first call.
        num_retries: How many times a call is retried after a transient failure.
        engine: As for an `LM`.
        timeout: As for an `LM`.
        options: Further connection options, by name (see `lm.options`).
    """

    def __init__(
        self,
        model: str,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        num_retries: int = 3,
        engine: EngineChoice = "auto",
        timeout: float | TimeoutProfile = "default",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self._api_base = AddressText(api_base) if isinstance(api_base, str) else api_base
        self._api_key = checked_key(api_key)
        self._options = SecretMapping(options or {})
        self._num_retries = num_retries
        self._choice = engine
        self._timeout = timeout_seconds(timeout)
        self._engine: Engine | None = None

    def __getstate__(self) -> dict[str, Any]:
        base = None if self._api_base is None else bare_address(self._api_base)  # as of an LM
        kept = {"_api_key": None, "_api_base": base, "_options": without_credentials(self._options)}
        return {**self.__dict__, "_engine": None, **kept}

    def credentials(self) -> dict[str, Any]:
        """Return the part of the state that a pickle leaves out, as that of an LM does."""
        return {"_api_key": self._api_key, "_api_base": self._api_base, "_options": self._options}

    def vectors(self, texts: list[str], config: Mapping[str, Any], *, cached: bool) -> Flow[list[list[float]]]:
        """Return a vector for each text; only texts missing in the cassette and the cache are sent.

        Raises:
            LMError: The call failed.
        """
        config, apart = set_apart(config)
        reach = _Reach(self._place(apart), with_options(self._options, apart), is_own=not apart)
        recorder = None if self._is_replaced() else recorder_of(current(), self.model)
        known = SecretMapping({"api_key": self._api_key, **reach.options})  # which a recorder has to hide
        requests = {
            text: LMRequest((Message("user", text),), config, options=known, kind="embedding") for text in texts
        }
        found = {}
        if recorder is not None:
            replies = {text: recorder.replay(self.model, request) for text, request in requests.items()}
            found = {text: reply.text for text, reply in replies.items() if reply is not None}
            self._count(reply for reply in replies.values() if reply is not None and reply.usage.total_tokens)
        wanted = [text for text in requests if text not in found]
        if wanted:
            asked = yield from self._through_cache(wanted, config, reach, cached=cached)
            found |= {text: reply.text for text, reply in asked.items()}
            if recorder is not None:
                for text, reply in asked.items():
                    recorder.record(self.model, requests[text], reply)
        return [vector_from_text(found[text]) for text in texts]

    def _through_cache(
        self, texts: list[str], config: Mapping[str, Any], reach: _Reach, *, cached: bool
    ) -> Flow[dict[str, LMResponse]]:
        """Return the vector of each text as a response; the tokens of a call are counted with its first text."""
        cached = cached and not self._is_replaced()
        cache = current().cache or default_cache()
        keys = {text: self._key(text, config, reach) for text in texts}
        found = {text: kept for text, key in keys.items() if cached and (kept := cache.get(key))}
        wanted = [text for text in texts if text not in found]
        if wanted:
            response = yield from self._with_retries(wanted, config, reach)
            for text, output in zip(wanted, response.outputs, strict=True):
                found[text] = replace(response, outputs=(output,), usage=Usage(), cost=None)
                if cached:
                    cache.put(keys[text], found[text])
            found[wanted[0]] = replace(response, outputs=response.outputs[:1])
        return found

    def _count(self, responses: Iterable[LMResponse]) -> None:
        tracker = current().usage
        if tracker is not None:
            for response in responses:
                tracker.add(self.model, response)

    def _is_replaced(self) -> bool:
        """Whether a test has replaced LiteLLM's functions; a stand-in's vectors are not cached."""
        return self._choice != "direct" and stand_in("embedding") is not None

    def _place(self, apart: Mapping[str, Any]) -> Target:
        return locate(self.model, api_base=apart.get("api_base", self._api_base), engine=self._choice)

    def _key(self, text: str, config: Mapping[str, Any], reach: _Reach) -> str:
        scope = filter(None, (scope_of(reach.options),))
        return LMRequest((Message("user", text),), config).key("embedding", self.model, reach.target.scope, *scope)

    def _with_retries(self, texts: list[str], config: Mapping[str, Any], reach: _Reach) -> Flow[LMResponse]:
        retries = reach.options.get("num_retries", self._num_retries)
        response = yield from with_retries(partial(self._try, texts, config, reach), retries)
        self._count([response])
        return response

    def _try(self, texts: list[str], config: Mapping[str, Any], reach: _Reach) -> Flow[LMResponse]:
        engine = self._engine if reach.is_own else None
        if self._is_replaced():
            from dspex_core.lm.engines.litellm import engine_of_stand_in  # LiteLLM is loaded, as it was changed

            key = reach.options.get("api_key", self._api_key)
            engine = engine_of_stand_in(reach.target, key, num_retries=self._num_retries)
        seconds = timeout_seconds(reach.options.get("timeout", self._timeout))
        step = _Embedding(engine, partial(self._connect, reach), texts, config, seconds)
        return (yield from within_budget(self.model, _taken(step)))

    def _connect(self, reach: _Reach) -> Engine:
        key = reach.options.get("api_key", self._api_key)
        engine = engine_for(reach.target.engine, connect(reach.target, api_key=key, options=reach.options))
        if reach.is_own:
            self._engine = engine
        return engine


@dataclass(frozen=True, slots=True)
class _Reach:
    """The target and options of one call; `is_own` if they are the model's own."""

    target: Target
    options: SecretMapping
    is_own: bool


@dataclass(frozen=True, slots=True)
class _Embedding:
    """The step of one try of a call."""

    engine: Engine | None  # `None` before the first call
    connect: Callable[[], Engine]
    texts: list[str]
    config: Mapping[str, Any]
    timeout: float

    def run(self) -> LMResponse:
        """Try and wait."""
        with past_recorder():  # its HTTP request is not a call of its own
            return (self.engine or self.connect()).embed(self.texts, self.config, timeout=self.timeout)

    async def arun(self) -> LMResponse:
        """Try without blocking the event loop."""
        engine = self.engine
        if engine is None:
            engine = await asyncio.to_thread(self.connect)  # this may import LiteLLM
        with past_recorder():  # as in run
            return await engine.aembed(self.texts, self.config, timeout=self.timeout)


def _taken(step: _Embedding) -> Flow[LMResponse]:
    response: LMResponse = yield step
    return response
