"""`LM`, the client of real models: cache, engine and retries around a call. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from dspex_core.config import current
from dspex_core.errors import ConfigurationError, LMError, LMUnsupportedFeatureError
from dspex_core.flow import Flow, Sleep, adrive, drive
from dspex_core.lm.base import BaseLM
from dspex_core.lm.cache import default_cache
from dspex_core.lm.providers import Endpoint, EngineChoice, Target, connect, locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.messages import LMRequest, LMResponse

ModelType = Literal["chat", "text", "responses"]

_FIRST_PAUSE = 0.5  # seconds before the second try; doubled before each further one
_LONGEST_PAUSE = 60.0
_ARGUMENTS = frozenset(("model", "model_type", "cache", "num_retries", "engine", "api_base", "api_key", "timeout"))


class Engine(Protocol):
    """What makes one try of a call to one endpoint, and raises an `LMError` when it fails."""

    def complete(self, request: LMRequest) -> LMResponse:
        """Make the try and wait."""

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """Make the try without blocking the event loop."""


class LM(BaseLM):
    """A language model behind an API, or the embedded one under `local/`.

    Args:
        model: `provider/model`, such as `"openai/gpt-4o-mini"` or `"local/smollm2-135m-instruct"`.
        model_type: The kind of API; only `"chat"` can be called so far.
        temperature: Sampling temperature; `None` leaves it to the provider.
        max_tokens: The longest reply in tokens; `None` leaves it to the provider.
        cache: Whether answers are kept and equal calls answered from there.
        num_retries: How many more tries a call gets when a failure may pass.
        engine: `"direct"` speaks the OpenAI wire format itself, `"litellm"` goes through LiteLLM;
            `"auto"` is direct where it can be, or what `DSPEX_LM_ENGINE` says.
        api_base: The address of an API that speaks the OpenAI wire format.
        api_key: The key; without it the provider's environment variable is read at the first call.
        timeout: Seconds that one try may take in total.
        **config: Further sampling defaults by their OpenAI names: `top_p`, `stop`, `seed`, ...

    Nothing is loaded, checked or connected before the first call.
    """

    def __init__(  # noqa: PLR0913  DSPy's signature, and what a client needs
        self,
        model: str,
        model_type: ModelType = "chat",
        temperature: float | None = None,
        max_tokens: int | None = None,
        cache: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        *,
        num_retries: int = 3,
        engine: EngineChoice = "auto",
        api_base: str | None = None,
        api_key: str | None = None,
        timeout: float = 120.0,
        **config: Any,
    ) -> None:
        sampling = {"temperature": temperature, "max_tokens": max_tokens, **config}
        super().__init__(model, **{name: value for name, value in sampling.items() if value is not None})
        if engine not in ("auto", "direct", "litellm"):
            message = f"there is no engine {engine!r}; there are: 'auto', 'direct', 'litellm'"
            raise ConfigurationError(message)
        self.model_type = model_type
        self.cache = cache
        self.num_retries = num_retries
        self.engine = engine
        self.api_base = api_base
        self.api_key = api_key
        self.timeout = timeout
        self.preferred_adapter = "json" if model.startswith("local/") else "chat"
        self._target: Target | None = None
        self._engine: Engine | None = None

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer from the cache, else from the model, with retries."""
        return drive(self._answer(request))

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """`complete` without blocking the event loop."""
        return await adrive(self._answer(request))

    def connect(self) -> None:
        """Find the address and the key and load or start what calls need; the first call does it otherwise.

        Raises:
            LMNotConfiguredError: There is no such provider, no key, no address or no weights.
        """
        if self._engine is None:
            self._connect()

    def copy(self, **changes: Any) -> Self:
        """Return the same LM with other arguments or sampling defaults and an empty history."""
        arguments = {name: value for name, value in self.__dict__.items() if name in _ARGUMENTS}
        clone = type(self).__new__(type(self))
        clone.__dict__.update(self.__dict__)
        LM.__init__(clone, **{**arguments, **self.config, **changes})
        return clone

    def dump_state(self) -> dict[str, Any]:
        """Return what a stored program keeps of its LM: never a key or an address."""
        return {"model": self.model, **self.config}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_target": None, "_engine": None}

    def _answer(self, request: LMRequest) -> Flow[LMResponse]:
        target = self._target = self._target or self._locate()
        cached = self.cache
        if "cache" in request.config:  # DSPy's way to say it for one call
            config = dict(request.config)
            cached = config.pop("cache")
            request = replace(request, config=config)
        if not cached:
            return (yield from self._ask(request))
        cache = current().cache or default_cache()
        key = request.key(self.model, target.scope)
        return (yield from cache.fetch(key, partial(self._ask, request)))

    def _ask(self, request: LMRequest) -> Flow[LMResponse]:
        """Ask the model, and again after failures that may pass."""
        attempt = 0
        while True:
            try:
                response: LMResponse = yield _Try(self._engine, self._connect, request)
            except LMError as error:
                if not error.is_retryable or attempt == self.num_retries:
                    raise
                pause = _pause(attempt, error.retry_after)
            else:
                return response
            attempt += 1
            yield Sleep(pause)

    def _locate(self) -> Target:
        if self.model_type != "chat":
            message = f"model_type={self.model_type!r} cannot be called; use a chat model with model_type='chat'"
            raise LMUnsupportedFeatureError(message, model=self.model)
        return locate(self.model, api_base=self.api_base, engine=self.engine)

    def _connect(self) -> Engine:
        target = self._target = self._target or self._locate()
        endpoint = connect(target, api_key=self.api_key, timeout=self.timeout)
        self._engine = _engine_for(target.engine, endpoint)
        return self._engine


@dataclass(frozen=True, slots=True)
class _Try:
    """The step of trying a call once."""

    engine: Engine | None  # `None` before the first call
    connect: Callable[[], Engine]
    request: LMRequest

    def run(self) -> LMResponse:
        """Try and wait."""
        return (self.engine or self.connect()).complete(self.request)

    async def arun(self) -> LMResponse:
        """Try without blocking the event loop."""
        engine = self.engine
        if engine is None:  # to connect may take seconds: LiteLLM's import, or the embedded server's start
            engine = await asyncio.to_thread(self.connect)
        return await engine.acomplete(self.request)


def _engine_for(name: Literal["direct", "litellm"], endpoint: Endpoint) -> Engine:
    # Each brings its HTTP client along, so only the one in use is loaded.
    if name == "direct":
        from dspex_core.lm.direct import DirectEngine

        return DirectEngine(endpoint)
    from dspex_core.lm.litellm import LiteLLMEngine

    return LiteLLMEngine(endpoint)


def _pause(attempt: int, retry_after: float | None) -> float:
    """Return the seconds to wait: what the provider asked for, else ever longer and never in step with others."""
    if retry_after is not None:
        return min(retry_after, _LONGEST_PAUSE)
    return min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311  no secret
