"""`as_dspy_lm`: DSPy's programs ask our LM, with our recorder, cache, budget and telemetry. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

from dspex_core.config import context, current
from dspex_core.config import settings as all_settings
from dspex_core.errors import ConfigurationError, LMError, LMNotConfiguredError
from dspex_core.interop.dspy_bridge.library import library
from dspex_core.interop.dspy_bridge.values import dspy_error
from dspex_core.lm.base import BaseLM
from dspex_core.lm.openai_form import as_reply
from dspex_core.messages import LMRequest, Message, ResponseSchema, tool_from_json
from dspex_core.programs.saving.state import SAMPLING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from dspex_core.messages import LMResponse

_NO_LM = "no LM is set: dspex_core.configure(lm=...), or dspy.configure(lm=...), or the ini key dspex_lm of pytest"
_KEPT = "_dspex_lm"
_ORIGIN = "dspex_origin"
_PARAMETERS = frozenset(
    {"response_format", "tools", "tool_choice", "temperature", "max_tokens", "n", "stop", "seed", "top_p"}
)


def as_dspy_lm(lm: BaseLM | None = None) -> Any:
    """Return a `dspy.BaseLM` that asks one of ours, through its recorder, cache, budget and telemetry.

    Args:
        lm: The LM; by default, that of our settings at each call: `dspy.configure(lm=as_dspy_lm())`.

    Raises:
        ConfigurationError: DSPy is not installed, or `lm` is not one of our LMs.
    """
    if lm is not None and not isinstance(lm, BaseLM):
        raise ConfigurationError(f"as_dspy_lm takes an LM of dspex_core, such as LM('openai/gpt-4o-mini'), not {lm!r}")
    return _dspy_class()(lm)


def our_lm(theirs: Any) -> Any:
    """Return the LM that one of `as_dspy_lm` asks; `None` if that is not known, and another LM of DSPy as it is."""
    return theirs.dspex_lm if isinstance(theirs, DspexLM) else theirs


class DspysLM(BaseLM):
    """An LM of DSPy as one of ours, for optimizers that ask it and fingerprints that name it.

    Its requests are recorded over HTTP, as those of DSPy's programs are, so not here once more.

    Args:
        theirs: The `dspy.BaseLM`.
    """

    recordable = False

    def __init__(self, theirs: Any) -> None:
        given = {name: value for name, value in theirs.kwargs.items() if name in SAMPLING and value is not None}
        super().__init__(theirs.model, **given)
        self.theirs = theirs

    @property
    def supports_function_calling(self) -> bool:
        """Whether requests may hold functions."""
        return bool(self.theirs.supports_function_calling)

    def __call__(self, *items: Any, **given: Any) -> Any:
        """Ask DSPy's LM; return its list of replies."""
        return self.theirs(*items, **given)

    async def acall(self, *items: Any, **given: Any) -> Any:
        """`__call__` without blocking the event loop."""
        return await self.theirs.acall(*items, **given)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        return f"{type(self.theirs).__name__}({self.model!r}) of DSPy"


def as_our_lm(theirs: Any) -> BaseLM | None:
    """Return a predictor's LM of DSPy as one of ours, always the same one; `None` where it asks that of our settings.

    It is kept in DSPy's LM, so that predictors which share one are seen to do so.
    """
    known = our_lm(theirs)
    if known is None or isinstance(known, BaseLM):
        return known
    kept = vars(theirs).get(_KEPT)
    if not isinstance(kept, DspysLM) or kept.theirs is not theirs:  # else it came along into a copy
        kept = vars(theirs)[_KEPT] = DspysLM(theirs)
    return kept


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a program of DSPy was called. Threads that it starts have no context of ours, and get these settings.

    It is among DSPy's settings, which DSPy hands on to the threads that it starts.
    """

    settings: Mapping[str, Any]

    @classmethod
    def as_setting(cls) -> dict[str, Origin]:
        """Return the settings of here as one of DSPy's."""
        return {_ORIGIN: cls(all_settings.copy())}

    @classmethod
    def here(cls) -> AbstractContextManager[Any]:
        """Have these settings in a thread of DSPy's that has none of its own."""
        origin = None if all_settings.in_context() else library().settings.get(_ORIGIN)
        return nullcontext() if origin is None else context(**origin.settings)


def request_of(prompt: Any, messages: Sequence[Mapping[str, Any]] | None, config: dict[str, Any]) -> LMRequest:
    """Return a call of DSPy's as a request."""
    turns = messages if messages is not None else [{"role": "user", "content": prompt}]
    config = {name: value for name, value in config.items() if value is not None}
    schema = _schema(config.get("response_format"))
    if schema is not None:
        del config["response_format"]
    rollout_id, tools = config.pop("rollout_id", None), config.pop("tools", ())
    return LMRequest(
        tuple(map(Message.from_json, turns)),
        config,
        response_schema=schema,
        rollout_id=rollout_id,
        tools=tuple(map(tool_from_json, tools)),
    ).with_defaults({})


def _schema(asked: Any) -> ResponseSchema | None:
    """Return what DSPy asks of the reply, a pydantic model or OpenAI's form, as a schema; `None` for JSON of any."""
    if isinstance(asked, type) and hasattr(asked, "model_json_schema"):
        return ResponseSchema(asked.__name__, asked.model_json_schema())
    match asked:
        case {"type": "json_schema", "json_schema": {"name": str(name), "schema": dict(schema)}}:
            return ResponseSchema(name, schema, strict=bool(asked["json_schema"].get("strict", True)))
    return None


def _reply(response: LMResponse) -> Any:
    reply = as_reply(response)
    reply["cache_hit"] = response.cached
    reply["_hidden_params"] = {"response_cost": response.cost}
    for choice, output in zip(reply["choices"], response.outputs, strict=True):
        choice["logprobs"] = output.logprobs
    return reply


class DspexLM:
    """The methods of an LM that DSPy's programs ask, which asks one of ours; `_dspy_class` adds DSPy's own."""

    forward_contract = "legacy"
    model_type, cache, num_retries = "chat", True, 0
    supports_reasoning, supports_response_schema = False, True
    supported_params = _PARAMETERS
    _warned_zero_temp_rollout = False

    def __init__(self, lm: BaseLM | None) -> None:
        self.dspex_lm = lm
        self.callbacks: list[Any] = []
        self.history: list[Any] = []

    @property
    def asked(self) -> BaseLM:
        """The LM that answers."""
        with Origin.here():
            lm = self.dspex_lm or current().lm
        if not isinstance(lm, BaseLM):
            raise LMNotConfiguredError(_NO_LM)
        return lm

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.asked.model

    @property
    def kwargs(self) -> dict[str, Any]:
        """The sampling defaults."""
        return dict(self.asked.config)

    @property
    def supports_function_calling(self) -> bool:
        """Whether requests may hold functions."""
        return self.asked.supports_function_calling

    def forward(self, prompt: Any = None, messages: Any = None, **config: Any) -> Any:
        """Ask our LM; return its reply in the form of OpenAI's client."""
        with self._calling():
            return _reply(self.asked.request(request_of(prompt, messages, config)))

    async def aforward(self, prompt: Any = None, messages: Any = None, **config: Any) -> Any:
        """`forward` without blocking the event loop."""
        with self._calling():
            return _reply(await self.asked.arequest(request_of(prompt, messages, config)))

    def dump_state(self) -> dict[str, Any]:
        """Return the model and its parameters, without credentials; DSPy's own LM is made of it."""
        return self.asked.dump_state()

    def copy(self, **config: Any) -> Any:
        """Return the same LM with other sampling defaults."""
        return type(self)(self.asked.copy(**config))

    @contextmanager
    def _calling(self) -> Iterator[None]:
        try:
            with Origin.here():
                yield
        except LMError as error:
            raise dspy_error(error) from error

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self  # programs are copied, the models that they use are shared

    def __repr__(self) -> str:
        return f"as_dspy_lm({'' if self.dspex_lm is None else repr(self.dspex_lm)})"


@cache
def _dspy_class() -> Any:
    """Return the class, which can only be made with DSPy."""
    return type(DspexLM.__name__, (DspexLM, library().BaseLM), {"__module__": __name__})
