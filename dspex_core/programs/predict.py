"""Predict: one call of the LM that fills a signature's outputs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import copy
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.adapters import ChatAdapter, JSONAdapter
from dspex_core.adapters.shown_fields import without
from dspex_core.config import current
from dspex_core.errors import LMNotConfiguredError, SignatureError
from dspex_core.example import Prediction
from dspex_core.flow.steps import Call
from dspex_core.programs.asking import Question, ask, reasoning_outputs
from dspex_core.programs.base import Predictor
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.input_types import warn_of_unfit
from dspex_core.programs.native_tools import tool_fields
from dspex_core.signatures.signature import MISSING, Missing, Signature, ensure_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.adapters.base import Adapter
    from dspex_core.adapters.prompt import CompiledPrompt
    from dspex_core.config.contracts import LanguageModel, Listener
    from dspex_core.flow.steps import Flow

_log = logging.getLogger("dspex")
_ADAPTERS: Mapping[str, Adapter] = {"chat": ChatAdapter(), "json": JSONAdapter(shows_types=False, text_limit=600)}
_NO_LM = 'no LM is set: dspex_core.configure(lm=LM("provider/model")), or context(lm=...), or set_lm'
_NO_CONFIG: Mapping[str, Any] = {}  # one for all calls, since histories keep it with each of them


def adapter_for(lm: LanguageModel | None) -> Adapter:
    """Return the adapter that predictors use with an LM: that of the settings, else the one that the LM prefers."""
    return current().adapter or _ADAPTERS["chat" if lm is None else lm.preferred_adapter]


def adapter_of(predictor: Predictor) -> Adapter:
    """Return the adapter that a predictor uses: its own, else `adapter_for` its LM."""
    return predictor.adapter or adapter_for(predictor.lm or current().lm)


class Predict(BuiltIn, Predictor):
    """Asks the LM once for the outputs of a signature.

    Args:
        signature: A `Signature` class or its string form.
        callbacks: Receive events of this predictor's calls, in addition to those in the settings.
        **config: Sampling parameters of every call: `temperature`, `n`, `max_tokens`, `rollout_id`, ...

    `demos` is the list of worked examples that the prompt shows. With a `demo_selector`, each call shows
    those that it chooses. `lm` and `adapter` are used instead of those in the settings.

    Raises on a call:
        SignatureError: An input is missing.
        LMNotConfiguredError: No LM is configured.
        LMError: The LM could not answer.
        AdapterParseError: The reply does not hold the outputs.
    """

    span_kind = "predict"
    _stands_for: Predict | None = None  # the predictor of which this is a copy, for one call

    def __init__(
        self, signature: str | type[Signature], callbacks: Sequence[Listener] | None = None, **config: Any
    ) -> None:
        asked = ensure_signature(signature)
        if not asked.output_fields:
            raise SignatureError(f"{asked!r} has no output to ask for; append one")
        super().__init__(asked, config, callbacks)
        self._prompt_made: tuple[Any, ...] | None = None

    def flow(
        self,
        *unnamed: Any,
        config: Mapping[str, Any] | Missing | None = MISSING,
        lm: LanguageModel | Missing | None = MISSING,
        **inputs: Any,
    ) -> Flow[Prediction]:
        """Render the prompt, call the LM, read the outputs; `parse_retries` and the fallback adapter if need be.

        Args:
            *unnamed: Nothing: inputs are given by name.
            config: Sampling parameters of this call, over those of the predictor.
            lm: The LM of this call.
            **inputs: The input fields, which go before options of their names; also the call's `signature` and `demos`.
        """
        settings, fields = current(), self.signature.input_fields
        if unnamed:
            raise SignatureError(_by_name(fields, unnamed))
        if "config" in fields:
            config = _moved("config", config, inputs)
        if "lm" in fields:
            lm = _moved("lm", lm, inputs)
        lm = (None if lm is MISSING else lm) or self.lm or settings.lm
        if lm is None:
            raise LMNotConfiguredError(_NO_LM)
        if inputs.keys() != fields.keys() and (changed := self._changed_by(inputs, lm)) is not None:
            return (yield from changed.flow(**{"config": config, **inputs}))
        warn_of_unfit(self.signature, inputs, wanted=settings.warn_on_type_mismatch)
        adapter = self._adapter or settings.adapter or _ADAPTERS[lm.preferred_adapter]
        given, chosen = None if config is MISSING else config, None
        config = {**self.config, **(given or {})} if given or self.config else _NO_CONFIG
        if self.demo_selector is not None:  # it may call an embedding model
            chosen = yield Call(self.demo_selector.choose, (self.signature, self._demos, inputs))
        apart, tools = self._returned_apart(lm, config), None
        if (calling := tool_fields(self.signature)) is not None:
            inputs = calling.checked(inputs)
            if calling.are_native(adapter, lm):
                apart, tools = (*apart, *calling.names), calling.specs(inputs)
        listen = settings.stream.replies(self._stands_for or self) if settings.stream else None
        prompt, heard = partial(self._prompt, apart), settings.callbacks
        question = Question(self.signature, inputs, prompt, chosen, config, apart, listen, self._demos, tools, heard)
        prediction = Prediction.from_completions((yield from ask(lm, adapter, question)))
        if settings.trace is not None:
            _append(settings.trace, (self._stands_for or self, inputs, prediction), most=settings.max_trace_size)
        return prediction

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the signature; the rest is state."""
        return {"signature": self.signature}

    def __repr__(self) -> str:
        demos = f", {len(self.demos)} demos" if self.demos else ""
        return f"{type(self).__name__}({self.signature!r}{demos})"

    def _returned_apart(self, lm: LanguageModel, config: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the outputs that a model with reasoning switched on is not asked to write."""
        effort = config["reasoning_effort"] if "reasoning_effort" in config else lm.config.get("reasoning_effort")
        return () if effort in (None, "none") else reasoning_outputs(self.signature)

    def _prompt(self, apart: tuple[str, ...], adapter: Adapter) -> CompiledPrompt:
        """Return the part of the prompt that no input changes, rendered once for this state."""
        compiled = self._prompt_made
        if (
            compiled is None
            or compiled[0] is not self.signature
            or compiled[1] is not self._demos
            or (compiled[2] is not adapter and compiled[2] != adapter)
            or compiled[3] != apart
        ):
            prompt = adapter.compile(without(self.signature, *apart), self._demos)
            compiled = self._prompt_made = (self.signature, self._demos, adapter, apart, prompt)
        found: CompiledPrompt = compiled[4]
        return found

    def _changed_by(self, inputs: dict[str, Any], lm: LanguageModel) -> Predict | None:
        """Take the signature and the demos of one call out of its inputs; return a copy that has them, and the LM.

        Without these, the inputs are checked.
        """
        fields = self.signature.input_fields
        given = {name: inputs.pop(name) for name in ("signature", "demos") if name in inputs and name not in fields}
        if not given:
            self._check(inputs)
            return None
        changed = copy.copy(self)
        changed._stands_for, changed.lm = self._stands_for or self, lm  # noqa: SLF001  its own kind
        changed.signature = ensure_signature(given.get("signature", self.signature))
        if "demos" in given:
            changed.demos, changed.demo_selector = given["demos"] or (), None
        return changed

    def _check(self, inputs: dict[str, Any]) -> None:
        """Raise SignatureError if an input is missing; log those that the signature does not have."""
        missing = [
            name
            for name, field in self.signature.input_fields.items()
            if name not in inputs and field.is_required() and not field.is_optional
        ]
        if missing:
            message = f"{self.signature!r} needs the input {', '.join(map(repr, missing))}; it got: {', '.join(inputs)}"
            raise SignatureError(message)
        unknown = [name for name in inputs if name not in self.signature.input_fields]
        if unknown:
            _log.warning("%r has no input %s: ignored", self.signature, ", ".join(map(repr, unknown)))


def _by_name(fields: Mapping[str, Any], unnamed: tuple[Any, ...]) -> str:
    names = ", ".join(f"{name}=..." for name in fields)
    return f"inputs are given by name: call it with ({names}), not with {unnamed!r}"


def _append(trace: list[Any], entry: tuple[Any, ...], *, most: int) -> None:
    """Append to a trace of which the latest entries are kept."""
    trace.append(entry)
    del trace[: max(0, len(trace) - most)]


def _moved(name: str, given: Any, inputs: dict[str, Any]) -> Missing:
    """Put what was given under the name of an option among the inputs, where the signature has that name."""
    if given is not MISSING:
        inputs[name] = given
    return MISSING
