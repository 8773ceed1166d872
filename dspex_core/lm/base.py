"""The contract of a language model: one method, `complete`. PYTEST_DONT_REWRITE

The parts of every call (cassette, telemetry, history) are here, around that method, so custom, scripted and real LMs
behave alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TextIO

from dspex_core.config import current
from dspex_core.config.contracts import LayeredRecorder
from dspex_core.errors import ConfigurationError, StraySignalError
from dspex_core.flow.steps import Call, Flow, SyncOrAsync, adrive, drive
from dspex_core.lm import openai_form
from dspex_core.lm.asked import plain_request, to_keep
from dspex_core.lm.calls import Calls
from dspex_core.lm.cut_off import warn_if_cut_off
from dspex_core.lm.history import CallLog, HistoryEntry, note
from dspex_core.lm.limits.budget import within_budget
from dspex_core.lm.options import SamplingDefaults
from dspex_core.lm.recorded import recorder_of, through
from dspex_core.lm.streaming import emitting
from dspex_core.messages.typed import LMConfig
from dspex_core.plain.secrets import is_private, without_secrets
from dspex_core.telemetry.spans import in_span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.config import Settings
    from dspex_core.config.contracts import Listener, Recorder
    from dspex_core.messages import LMRequest, LMResponse

_HISTORY_LENGTH = 10_000
_OWN = frozenset({"model_type", "cache", "num_retries"})  # arguments that are not sampling parameters
_OF_DSPY = frozenset(  # in its states of LMs: its class, finetuning, roles
    {"_dspy_lm_class", "finetuning_model", "launch_kwargs", "provider", "train_kwargs", "use_developer_role"}
)


class BaseLM(Calls):
    """A language model. A subclass needs `complete`, and `acomplete` if it can wait without a thread.

    DSPy's forms work, too: `forward(prompt, messages, **config)` (or `aforward`) returns a response like OpenAI's
    client, or `__call__` (or `acall`) returns a list of texts. With `forward_contract = "typed_lm"` in the class,
    `forward(request)` gets the `LMRequest` and returns an `LMResponse`.

    Args:
        model: The model's name, as `provider/model` for the built-in client.
        model_type: The kind of API, for a subclass to read.
        temperature: Sampling temperature of every call; `None` leaves it to the provider.
        max_tokens: The longest reply in tokens; `None` leaves it to the provider.
        cache: Whether answers may be cached, for a subclass to read.
        callbacks: Receive events of this LM's calls, in addition to those in the settings.
        num_retries: How often a failed call is tried again, for a subclass to read.
        **config: Further sampling defaults of every call: `top_p`, `stop`, ...

    `preferred_adapter` is what predictors use with this LM when no adapter is configured:
    `"chat"` for models that follow a written format, `"json"` for models that need a JSON schema. An LM that is not
    `recordable` is never recorded to a cassette. An LM with `keeps_budget` counts its calls in the budget itself; calls
    of other LMs are counted for them.
    """

    preferred_adapter: Literal["chat", "json"] = "chat"
    recordable: ClassVar[bool] = True
    keeps_budget: ClassVar[bool] = False
    history_length: ClassVar[int] = _HISTORY_LENGTH
    callbacks: Sequence[Listener] = ()
    forward_contract: ClassVar[str] = "legacy"
    model_type: Literal["chat", "text", "responses"] = "chat"
    cache: bool = True
    num_retries: int = 3
    config: dict[str, Any]
    _by_forward: ClassVar[bool] = False  # the method by which a subclass answers, if not `complete`
    _by_call: ClassVar[bool] = False
    _declared: ClassVar[tuple[Any, ...]]  # `__call__`, `acall`, `forward` and `aforward`, as the class has defined them

    def __init_subclass__(cls, **options: Any) -> None:
        """Find the method by which a class answers."""
        super().__init_subclass__(**options)
        own = vars(cls)
        if not own.keys().isdisjoint(("complete", "acomplete", "live")):
            cls._by_forward = cls._by_call = False
        elif not own.keys().isdisjoint(("forward", "aforward")):
            cls._by_forward = True
        if not own.keys().isdisjoint(("__call__", "acall")):
            cls._by_call = True
        cls._declared = cls.__call__, cls.acall, cls.forward, cls.aforward

    def __init__(
        self,
        model: str,
        model_type: Literal["chat", "text", "responses"] = "chat",
        temperature: float | None = None,
        max_tokens: int | None = None,
        cache: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        callbacks: Sequence[Listener] | None = None,
        num_retries: int = 3,
        **config: Any,
    ) -> None:
        self.model = model
        self.model_type = model_type
        self.cache = cache
        self.num_retries = num_retries
        self.callbacks = list(callbacks or ())  # a list, as users append to it
        limits = {"temperature": temperature, "max_tokens": max_tokens}
        self.config = SamplingDefaults({name: value for name, value in limits.items() if value is not None} | config)
        self.history = CallLog(maxlen=self.history_length)

    @property
    def supports_function_calling(self) -> bool:
        """Whether requests may hold functions that the model can ask to have called."""
        return False

    @property
    def supports_reasoning(self) -> bool:
        """Whether the model can think before it answers, at a provider that returns its thoughts apart."""
        return False

    @property
    def supports_response_schema(self) -> bool:
        """Whether replies can be held to a JSON schema; a `forward` that can gets it as `response_format`."""
        return False

    @property
    def supported_params(self) -> set[str]:
        """The names of the parameters that the model is known to take, as OpenAI names them."""
        return set()

    @property
    def kwargs(self) -> dict[str, Any]:
        """The sampling defaults, under DSPy's name."""
        return self.config

    def complete(self, request: LMRequest) -> LMResponse:
        """Answer a request; an LM that can stream passes the reply's pieces to `request.on_chunk`.

        Raises:
            LMError: The call failed.
        """
        if not self._answers_by_forward():
            raise NotImplementedError(f"{type(self).__name__} defines neither complete nor forward")
        return drive(self._forwarding(request))

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """Answer a request without blocking the event loop; by default, in a thread."""
        if self._answers_by_forward():
            return await adrive(self._forwarding(request))
        return await Call(self.complete, (request,)).arun()  # type: ignore[no-any-return]  # a step's result is Any

    def forward(self, *prompt: Any, **config: Any) -> Any:
        """Answer `(prompt, messages, **config)` in the form of OpenAI's client: for `super().forward(...)`."""
        if type(self).aforward is not BaseLM.aforward and type(self).forward is BaseLM.forward:
            return Call(self.aforward, prompt, config).run()
        return openai_form.as_reply(self.complete(self._forwarded(*prompt, **config)))

    async def aforward(self, *prompt: Any, **config: Any) -> Any:
        """`forward` without blocking the event loop."""
        if type(self).forward is not BaseLM.forward and type(self).aforward is BaseLM.aforward:
            return await Call(self.forward, prompt, config).arun()
        return openai_form.as_reply(await self.acomplete(self._forwarded(*prompt, **config)))

    def _forwarded(self, prompt: str | None = None, messages: Any = None, **config: Any) -> LMRequest:
        """Return the request of a subclass's `super().forward(...)`, which may have the defaults by now."""
        return self.prepared(plain_request(prompt, messages, config).with_defaults({}))

    def _forwarding(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer by `forward`, which gets what the call says: as in DSPy, it adds `self.kwargs` itself."""
        if self.forward_contract == "typed_lm":
            return (yield from self._typed(replace(request, model=self.model, config=LMConfig(request.config))))
        arguments = openai_form.call_arguments(self.understood(request), besides=self.config)
        reply = yield SyncOrAsync(Call(self.forward, (), arguments), Call(self.aforward, (), arguments))
        return openai_form.response_of(reply, self.model)

    def _typed(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer by a `forward` or an `aforward` that takes the request itself."""
        by_forward, by_aforward = Call(self.forward, (request,)), Call(self.aforward, (request,))
        if type(self).aforward is BaseLM.aforward:
            by_aforward = by_forward
        elif type(self).forward is BaseLM.forward:
            by_forward = by_aforward
        return openai_form.response_of((yield SyncOrAsync(by_forward, by_aforward)), self.model)

    def steps(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer a program's request as part of another flow: `yield from lm.steps(request)`."""
        kind, (call, acall, _, _) = type(self), self._declared
        if kind.__call__ is not call or kind.acall is not acall or "acall" in self.__dict__:
            return self._called(request)
        if self._by_call:
            return self._calling(request)
        return self._steps(request) if request.on_chunk is None else self._own_steps(request)

    def _own_steps(self, request: LMRequest) -> Flow[LMResponse]:
        if request.on_chunk is not None:
            return emitting(request, request.on_chunk, self._steps)
        return self._steps(request)

    def _steps(self, request: LMRequest) -> Flow[LMResponse]:
        settings = current()
        request = self.prepared(request)
        if settings.attempt != 1:
            request = request.of_attempt(settings.attempt)
        has_recorder = settings.recorder is not None or settings.replay_only or settings.recorded_only
        recorder = self._recorder(settings) if has_recorder else None
        answer = self.live(request)
        if recorder is not None:
            answer = through(recorder, self.model, self.with_keys(request), answer)
        if settings.listeners or settings.callbacks or self.callbacks:
            answer = in_span("lm", {"instance": self, "request": request}, self.callbacks, answer)
        response = yield from answer
        if settings.usage is not None:
            settings.usage.add(self.model, response)
        if not settings.disable_history:
            asked = to_keep(request)
            entry = HistoryEntry(self.model, asked, response, time.time(), self.model_type)
            note(entry, self.history, settings.max_history_size)
        return response

    def with_keys(self, request: LMRequest) -> LMRequest:
        """Return a request whose `options` name this LM's credentials, which a recorder has to hide."""
        return request

    def prepared(self, request: LMRequest) -> LMRequest:
        """Return a request with this LM's defaults for parameters that it does not set."""
        return request.with_defaults(self.config)

    def _calling(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer by a subclass's `__call__` or `acall`, which may call those of this class."""
        settings = current()
        recorder = self._recorder(settings)
        if recorder is None:
            return (yield from self._called(request))
        return (yield from through(recorder, self.model, self.prepared(request), self._called(request)))

    def _called(self, request: LMRequest) -> Flow[LMResponse]:
        arguments = openai_form.call_arguments(self.understood(request))
        is_async = type(self).acall is not _ACALL or "acall" in self.__dict__
        is_sync = type(self).__call__ is not _CALL
        awaited = Call(self.acall if is_async else self.__call__, (), arguments)
        reply = yield SyncOrAsync(Call(self.__call__, (), arguments) if is_sync else awaited, awaited)
        return openai_form.response_of(reply, self.model)

    def understood(self, request: LMRequest) -> LMRequest:
        """Return a request for a subclass's `forward` or `__call__`: without a schema, unless it takes one."""
        if request.response_schema is None or self.supports_response_schema:
            return request
        takes_format = "response_format" in self.supported_params
        config = {**request.config, "response_format": {"type": "json_object"}} if takes_format else request.config
        return replace(request, response_schema=None, config=config)

    def _recorder(self, settings: Settings) -> Recorder | None:
        if self.is_recorded():
            return recorder_of(settings, self.model)
        return settings.recorder.of_scripts() if isinstance(settings.recorder, LayeredRecorder) else None

    def live(self, request: LMRequest) -> Flow[LMResponse]:
        """Answer a request within the budget; cassette, usage and history are added by `request`."""
        asking = self._forwarding(request) if self._answers_by_forward() else _asking(self, request)
        return (yield from (asking if self.keeps_budget else within_budget(self.model, asking)))

    def _answers_by_forward(self) -> bool:
        """Whether a subclass answers by `forward` or `aforward`, or something has been put in the place of one."""
        return self._by_forward or self._has_stand_in()

    def _has_stand_in(self) -> bool:
        kind, own = type(self), self.__dict__
        _, _, forward, aforward = self._declared
        return kind.forward is not forward or kind.aforward is not aforward or "forward" in own or "aforward" in own

    def is_recorded(self) -> bool:
        """Whether the next call goes through a cassette: not where a test has put something in its place."""
        return self.recordable and not self._has_stand_in()

    def inspect_history(self, n: int = 1, file: TextIO | None = None) -> None:
        """Write this LM's last `n` calls to a file, by default to `sys.stdout`."""
        self.history.inspect(n, file)

    def dump_state(self) -> dict[str, Any]:
        """Return the state of which `load_state` makes the LM again: never a key or an address."""
        return {"model": self.model, **without_secrets(self.config, is_private)}

    @classmethod
    def load_state(cls, state: Mapping[str, Any]) -> Self:
        """Make an LM of this class of a state that `dump_state` returned, also DSPy's.

        Keys and addresses in the state are not used: set them where the program runs.

        Raises:
            ConfigurationError: The state names no model.
        """
        known = {name: value for name, value in state.items() if name not in _OF_DSPY}
        model = known.pop("model", None)
        if not isinstance(model, str):
            raise ConfigurationError(f"the state of an LM must name its model, not {model!r}")
        return cls(model, **without_secrets(known, is_private))

    def copy(self, **config: Any) -> Self:
        """Return the same LM with other sampling defaults and an empty history."""
        clone = type(self).__new__(type(self))
        clone.__dict__.update(self.__dict__)
        clone.__dict__.update({name: value for name, value in config.items() if name in _OWN})
        sampling = {name: value for name, value in config.items() if name not in _OWN}
        clone.config = SamplingDefaults({**self.config, **sampling})
        clone.history = CallLog(maxlen=self.history_length)
        return clone

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # programs are copied, the models that they use are shared

    def __repr__(self) -> str:
        config = "".join(f", {name}={value!r}" for name, value in without_secrets(self.config).items())
        return f"{type(self).__name__}({self.model!r}{config})"


_CALL, _ACALL = BaseLM.__call__, BaseLM.acall  # as they are before a test patches them
BaseLM._declared = _CALL, _ACALL, BaseLM.forward, BaseLM.aforward  # noqa: SLF001  as for each subclass


@dataclass(frozen=True, slots=True)
class Completion:
    """The step of calling the model."""

    lm: BaseLM
    request: LMRequest

    def run(self) -> LMResponse:
        """Ask and wait."""
        try:
            return self.lm.complete(self.request)
        except StopIteration as error:  # e.g. an LM whose list of answers ran out
            raise StraySignalError(self.lm.complete, error) from error

    async def arun(self) -> LMResponse:
        """Ask without blocking the event loop."""
        return await self.lm.acomplete(self.request)


def _asking(lm: BaseLM, request: LMRequest) -> Flow[LMResponse]:
    response: LMResponse = yield Completion(lm, request)
    if not lm.keeps_budget:  # such an LM checks the budget itself
        warn_if_cut_off(lm.model, request.config, response)
    return response
