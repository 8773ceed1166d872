"""`LM`, the client of real models: cache, engine and retries around a call. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from dspex_core.config import current
from dspex_core.flow.steps import Flow, adrive, drive
from dspex_core.lm import capabilities
from dspex_core.lm.addresses import bare_address
from dspex_core.lm.arguments import check_target, checked_fallbacks, checked_for_reasoning, checked_retries, only_one
from dspex_core.lm.base import BaseLM
from dspex_core.lm.cache import default_cache
from dspex_core.lm.cut_off import warn_if_cut_off
from dspex_core.lm.engines.stand_ins import mark_of, stand_in
from dspex_core.lm.fallbacks import first_to_answer
from dspex_core.lm.limits.budget import within_budget
from dspex_core.lm.limits.rate_limit import RateLimiter
from dspex_core.lm.limits.retries import with_retries
from dspex_core.lm.limits.timeouts import TimeoutProfile, timeout_seconds
from dspex_core.lm.options import (
    SamplingDefaults,
    is_plain,
    refuse_arguments_of_an_lm,
    renamed,
    scope_of,
    set_apart,
    with_options,
    without_credentials,
)
from dspex_core.lm.outputs import joined, nth
from dspex_core.lm.providers import (
    EngineChoice,
    Target,
    calls_functions,
    checked_key,
    connect,
    locate,
)
from dspex_core.lm.recorded import recorder_of, through
from dspex_core.lm.refused import refusal_of
from dspex_core.lm.streaming import emitting, has_emitted
from dspex_core.lm.training import Provider, Trainable
from dspex_core.lm.tries import Engine, Try, engine_for
from dspex_core.plain.secrets import AddressText, SecretMapping, is_private, without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.config.contracts import Listener
    from dspex_core.lm.engines.wire import ModelType
    from dspex_core.messages import LMRequest, LMResponse

_FOR_TRAINING: Mapping[str, Any] = {  # DSPy's arguments: they are kept, and nothing of them is sent
    "finetuning_model": None,
    "launch_kwargs": {},
    "train_kwargs": {},
    "use_developer_role": False,
}
_ARGUMENTS = (_FOR_TRAINING.keys() | {"provider"}) | frozenset(
    "model model_type cache callbacks num_retries engine api_base api_key timeout requests_per_minute fallbacks".split()  # noqa: SIM905  reads better
)


class LM(Trainable, BaseLM):
    """A language model behind an API, or the embedded one under `local/`.

    Args:
        model: `provider/model`, such as `"openai/gpt-4o-mini"` or `"local/smollm2-135m-instruct"`.
        model_type: The kind of API: `"chat"`, `"text"` (completions: one prompt, no roles) or `"responses"`.
        temperature: Sampling temperature; `None` leaves it to the provider.
        max_tokens: The longest reply in tokens; `None` leaves it to the provider, which is 1,000 for `local/`.
        cache: Whether equal calls are answered from the response cache.
        callbacks: Receive events of this LM's calls, in addition to those in the settings.
        num_retries: How many times a call is retried after a transient failure.
        engine: `"direct"` speaks the OpenAI wire formats itself, `"litellm"` goes through LiteLLM;
            `"auto"` is direct where it can be, or what `DSPEX_LM_ENGINE` says.
        api_base: The address of an API that speaks the OpenAI wire format.
        api_key: The key; without it the provider's environment variable is read at the first call.
        timeout: Seconds that one try may take in total, or the name of a profile: `"default"` (2
            minutes), `"ml_inference"` (10 minutes), `"streaming"` (30 minutes), `"batch_job"` (1 hour).
            With `"default"`, a streamed reply gets the `"streaming"` timeout.
        requests_per_minute: How many requests are sent in a minute, evenly spread; copies share it.
        fallbacks: LMs to try in turn when this one fails after its retries. A model string means an LM like this one,
            without its `api_base` and `api_key`.
        supports_function_calling: Whether functions may be offered to the model. By default, only to providers whose
            models are known to take them, at their own addresses.
        **config: Further sampling defaults by their OpenAI names: `top_p`, `stop`, `seed`, ... And by the names of
            OpenAI's client or LiteLLM, how to reach the model: `base_url`, `headers` or `extra_headers`,
            `extra_query`, `organization`, `project`, `api_version`, `max_retries`, `request_timeout`.
            `extra_body` is merged into the body of each request. As in DSPy, a `Provider` given as `provider` runs and
            trains the model: `finetuning_model` is what it trains, `train_kwargs` and `launch_kwargs` go to it.
            `use_developer_role` has no effect.

    Any `LMError` leads to a fallback, since another model may be up, larger or less strict; each switch is logged to
    `dspex`. When all fail, it raises its own error, with theirs as notes. After the first piece of a streamed reply
    there are no retries and no fallbacks. `timeout`, `cache`, `num_retries` and how to reach the model may also be
    given for one call:
    `lm("...", timeout=5, cache=False, api_key=...)`. A pickle of an LM holds neither keys nor headers.
    Nothing is loaded, checked or connected before the first call.
    """

    keeps_budget = True  # cached answers are free

    def __init__(  # noqa: PLR0913  DSPy's signature, and what a client needs
        self,
        model: str,
        model_type: ModelType = "chat",
        temperature: float | None = None,
        max_tokens: int | None = None,
        cache: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        callbacks: Sequence[Listener] | None = None,
        num_retries: int = 3,
        *,
        engine: EngineChoice = "auto",
        api_base: str | None = None,
        api_key: str | None = None,
        timeout: float | TimeoutProfile = "default",
        requests_per_minute: float | None = None,
        fallbacks: Sequence[BaseLM | str] | None = (),
        supports_function_calling: bool | None = None,
        **config: Any,
    ) -> None:
        self._take_training(config)
        check_target(model, model_type, engine)
        sampling, apart = set_apart({"temperature": temperature, "max_tokens": max_tokens, **config})
        sampling = checked_for_reasoning(model, {name: v for name, v in sampling.items() if v is not None})
        super().__init__(model, model_type, cache=cache, callbacks=callbacks, **sampling)
        api_base = only_one("api_base", api_base, apart.pop("api_base", None))
        timeout = only_one("timeout", None if timeout == "default" else timeout, apart.pop("timeout", None)) or timeout
        self.num_retries = checked_retries(apart.pop("num_retries", num_retries))
        self.engine = engine
        self.api_base = AddressText(api_base) if isinstance(api_base, str) else api_base
        self.api_key = checked_key(api_key)
        self._options, self._scope = apart, tuple(filter(None, (scope_of(apart),)))
        self._set_limits(timeout, requests_per_minute)
        self.fallbacks = checked_fallbacks(fallbacks)
        self._function_calling = supports_function_calling
        self._fallback_lms = tuple(map(self._as_fallback, self.fallbacks))
        self.preferred_adapter: Literal["chat", "json"] = "json" if model.startswith("local/") else "chat"
        self._target: Target | None = None
        self._engine: Engine | None = None

    def _take_training(self, config: dict[str, Any]) -> None:
        """Take what only training uses out of the options of calls."""
        for name, default in _FOR_TRAINING.items():
            self.__dict__[name] = config.pop(name, default)
        is_given = isinstance(config.get("provider"), Provider)
        self.provider = config.pop("provider") if is_given else self.infer_provider()

    def _set_limits(self, timeout: float | TimeoutProfile, requests_per_minute: float | None) -> None:
        self.timeout = timeout
        self._seconds = timeout_seconds(timeout)
        self._stream_seconds = timeout_seconds("streaming" if timeout == "default" else timeout)
        self.requests_per_minute = requests_per_minute
        self._limiter = RateLimiter(requests_per_minute) if requests_per_minute is not None else None

    @property
    def supports_function_calling(self) -> bool:
        """Whether functions may be offered to the model: as its arguments say, else by provider."""
        if self._function_calling is not None:
            return self._function_calling
        return self.model_type != "text" and self.api_base is None and calls_functions(self.model)

    @property
    def supports_reasoning(self) -> bool:
        """Whether LiteLLM's table of models says so, which is loaded for the answer."""
        return capabilities.reasons(self._locate())

    @property
    def supports_response_schema(self) -> bool:
        """Whether replies can be held to a JSON schema, by provider; of models behind LiteLLM its table says it."""
        return capabilities.takes_schemas(self._locate())

    @property
    def supported_params(self) -> set[str]:
        """The names of the parameters that the model is known to take, by LiteLLM's table, which is loaded for it."""
        return capabilities.parameters(self._locate())

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer from the cache, else from the model, with retries; a recorder stands before, as with `request`."""
        return drive(self._completing(self._set_apart(request.with_defaults({}))))

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """`complete` without blocking the event loop."""
        return await adrive(self._completing(self._set_apart(request.with_defaults({}))))

    def _completing(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer a call of `complete`: by a recorder, unless it is part of a call that one stands before."""
        settings = current()
        if (settings.recorder is None and not settings.recorded_only) or not self.is_recorded():
            return self._streamed(request)
        recorder = recorder_of(settings, self.model)
        assert recorder is not None, "else the call is refused"

        def ask(request: LMRequest) -> Flow[LMResponse]:
            return through(recorder, self.model, self.with_keys(request), self._with_fallbacks(request))

        return ask(request) if request.on_chunk is None else emitting(request, request.on_chunk, ask)

    def live(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer a request within the budget; cassette, usage and history are added by `request`."""
        kind = type(self)
        if kind.complete is LM.complete and kind.acomplete is LM.acomplete and not self._answers_by_forward():
            # In the caller's own flow, which saves a tenth of a cached call.
            return self._with_fallbacks(request) if self._fallback_lms else self._through_cache(request)
        return super().live(request)

    def connect(self) -> None:
        """Find the address and the key and load or start what calls need; the first call does it otherwise.

        Raises:
            LMNotConfiguredError: The provider is unknown, or the key, the address or the weights are missing.
        """
        if self._engine is None:
            self._connect()

    def copy(self, **changes: Any) -> Self:
        """Return the same LM with other arguments or sampling defaults and an empty history."""
        arguments = {name: value for name, value in self.__dict__.items() if name in _ARGUMENTS}
        clone = type(self).__new__(type(self))
        clone.__dict__.update(self.__dict__)
        arguments["supports_function_calling"] = self._function_calling
        LM.__init__(clone, **{**arguments, **self.config, **self._options, **renamed(changes)})
        if clone.requests_per_minute == self.requests_per_minute:
            clone._limiter = self._limiter  # noqa: SLF001  the provider counts their requests together
        return clone

    def dump_state(self) -> dict[str, Any]:
        """Return the state of which `load_state` makes the LM again: never a key or an address."""
        own = {"model_type": self.model_type, "cache": self.cache, "num_retries": self.num_retries}
        return {**super().dump_state(), **own}

    def prepared(self, request: LMRequest) -> LMRequest:
        """Return a request with this LM's defaults, and its connection options separated from sampling parameters."""
        request = request.with_defaults(self.config)
        return self._set_apart(request) if request.config else request

    def understood(self, request: LMRequest) -> LMRequest:
        """Return the request as it is: the engine knows what the provider takes."""
        return request

    def with_keys(self, request: LMRequest) -> LMRequest:
        """Return a request whose `options` name this LM's credentials, too; it is only recorded, not sent."""
        if self.api_key is None and not self._options:
            return request
        of_this_call = SecretMapping(request.options or {})
        return replace(
            request, options=SecretMapping({**of_this_call, "lm": {**self._options, "api_key": self.api_key}})
        )

    def _set_apart(self, request: LMRequest) -> LMRequest:
        if is_plain(request.config):
            return request
        refuse_arguments_of_an_lm(request.config)
        sampling, apart = set_apart(request.config)
        if not apart:
            return request
        timeout = apart.pop("timeout", None)
        return replace(
            request,
            config=sampling,
            options=with_options(SecretMapping(request.options or {}), apart),
            timeout=timeout if request.timeout is None else request.timeout,
        )

    def __getstate__(self) -> dict[str, Any]:
        # Keys and headers stay here: a pickle may end up in a file.
        kept = {
            "api_key": None,
            "api_base": None if self.api_base is None else bare_address(self.api_base),
            "config": SamplingDefaults(without_secrets(self.config)),
            "_options": without_credentials(self._options),
        }
        return {**self.__dict__, "_target": None, "_engine": None, **kept}

    def credentials(self) -> dict[str, Any]:
        """Return the part of the state that a pickle leaves out, for a worker that calls the model in this one's place.

        Never write it to a file.
        """
        given = {"api_key": self.api_key, "api_base": self.api_base, "config": self.config}
        return {**given, "_options": self._options}

    def __copy__(self) -> Self:
        clone = type(self).__new__(type(self))
        clone.__dict__.update(self.__dict__)
        return clone

    def _as_fallback(self, lm: BaseLM | str) -> BaseLM:
        if not isinstance(lm, str):
            return lm
        config = without_secrets(self.config, is_private)  # fallbacks may belong to another provider
        return LM(lm, cache=self.cache, num_retries=self.num_retries, timeout=self.timeout, **config)

    def _streamed(self, request: LMRequest) -> Flow[LMResponse]:
        if request.on_chunk is None:
            return self._with_fallbacks(request)
        return emitting(request, request.on_chunk, self._with_fallbacks)

    def _with_fallbacks(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer by this LM, or by the first fallback that succeeds."""
        return first_to_answer(self._through_cache(request), self._fallback_lms, request, without=self.config)

    def _through_cache(self, request: LMRequest) -> Flow[LMResponse]:
        target = self._target
        if target is None:
            target = self._target = self._locate()
        scope, replaced = self._scope, self._stand_in()
        if replaced is not None:
            scope = (*scope, f"stand-in {mark_of(replaced)}")
        if request.options is not None:
            options = with_options(self._options, SecretMapping(request.options))
            target, scope = self._locate(options.get("api_base")), tuple(filter(None, (scope_of(options),)))
        settings = current()
        is_kept = self.cache if request.cache is None else request.cache
        if not is_kept or (settings.resample and request.is_sampled) or (settings.replay_only and replaced is None):
            return (yield from self._all_outputs(target, request))
        cache = settings.cache or default_cache()
        key = request.key(self.model, target.scope, *scope) if scope else request.key(self.model, target.scope)
        return (yield from cache.fetch(key, partial(self._all_outputs, target, request)))

    def _all_outputs(self, target: Target, request: LMRequest) -> Flow[LMResponse]:
        """Request all outputs: in one call if the provider supports `n`, else one by one."""
        n = request.config.get("n") or 1
        if n == 1 or target.gives_n:
            return (yield from self._with_retries(request))
        responses = []
        for index in range(n):
            responses.append((yield from self._with_retries(nth(request, index))))  # noqa: PERF401  cannot yield
        return joined(responses)

    def _with_retries(self, request: LMRequest) -> Flow[LMResponse]:
        """Call the model, with retries after transient failures."""
        retries = (request.options or {}).get("num_retries", self.num_retries)
        if self._stand_in() is not None:
            retries = 0  # LiteLLM's stand-in does the retries
        response = yield from with_retries(
            partial(self._try, request), retries, has_emitted=partial(has_emitted, request)
        )
        warn_if_cut_off(self.model, request.config, response)
        return response

    def _try(self, request: LMRequest) -> Flow[LMResponse]:
        return within_budget(self.model, self._try_in_turn(request))

    def _try_in_turn(self, request: LMRequest) -> Flow[LMResponse]:
        if request.timeout is not None:
            seconds = timeout_seconds(request.timeout)
        else:
            seconds = self._seconds if request.on_chunk is None else self._stream_seconds
        if self._limiter is not None:
            yield self._limiter.turn()
        is_replaced = self._stand_in() is not None
        if current().replay_only and not is_replaced:  # `complete` is called without a recorder
            raise refusal_of(self.model)
        engine, connect_first = self._engine, self._connect
        if is_replaced:
            engine, connect_first = None, partial(self._through_litellm, request.options or {})
        elif request.options is not None and request.options.keys() != {"num_retries"}:
            engine, connect_first = None, partial(self._engine_for, request.options)
        response: LMResponse = yield Try(engine, connect_first, request, seconds)
        return response

    def _locate(self, api_base: str | None = None) -> Target:
        return locate(self.model, self.model_type, api_base=api_base or self.api_base, engine=self.engine)

    def _engine_for(self, options: Mapping[str, Any]) -> Engine:
        """Return an engine for a call with its own connection options."""
        target = self._locate(options.get("api_base"))
        reach = with_options(self._options, SecretMapping(options))
        return engine_for(target.engine, connect(target, api_key=reach.get("api_key", self.api_key), options=reach))

    def is_recorded(self) -> bool:
        """Whether a cassette stands before the next call: not where a test has replaced LiteLLM's functions."""
        return super().is_recorded() and self._stand_in() is None

    def _stand_in(self) -> Any:
        """Return what a test has put in the place of LiteLLM's function, which then answers instead of any engine."""
        replaceable = self.engine != "direct" and not self.model.startswith("local/")
        return stand_in(self.model_type) if replaceable else None

    def _through_litellm(self, options: Mapping[str, Any]) -> Engine:
        reach = with_options(self._options, SecretMapping(options))
        target = replace(self._locate(options.get("api_base")), engine="litellm")
        from dspex_core.lm.engines.litellm import engine_of_stand_in  # LiteLLM is loaded, as it was changed

        return engine_of_stand_in(target, reach.get("api_key", self.api_key), num_retries=self.num_retries)

    def _connect(self) -> Engine:
        target = self._target = self._target or self._locate()
        self._engine = engine_for(target.engine, connect(target, api_key=self.api_key, options=self._options))
        return self._engine
