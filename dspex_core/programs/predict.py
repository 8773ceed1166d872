"""Predict: one call of the LM that fills a signature's outputs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dspex_core.adapters import ChatAdapter, JSONAdapter
from dspex_core.config import current
from dspex_core.errors import AdapterParseError, LMNotConfiguredError, SignatureError
from dspex_core.example import Prediction
from dspex_core.lm.base import BaseLM, LMCall
from dspex_core.messages import LMRequest
from dspex_core.programs.base import Predictor
from dspex_core.signature import MISSING, Signature, ensure_signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.adapters.base import Adapter, CompiledPrompt
    from dspex_core.flow import Flow

_log = logging.getLogger("dspex")
_ADAPTERS: Mapping[str, Adapter] = {"chat": ChatAdapter(), "json": JSONAdapter(shows_types=False)}


class Predict(Predictor):
    """Asks the LM once for the outputs of a signature.

    Args:
        signature: A `Signature` class or its string form.
        **config: Sampling parameters of every call: `temperature`, `n`, `max_tokens`, `rollout_id`, ...

    `demos` are the worked examples that the prompt shows: assign a list, read a tuple. With a
    `demo_selector`, each call shows those that it chooses. `lm` is the LM to use instead of the
    one in the settings.

    Raises on a call:
        SignatureError: An input is missing.
        LMNotConfiguredError: There is no LM.
        LMError: The LM could not answer.
        AdapterParseError: The reply does not hold the outputs.
    """

    span_kind = "predict"

    def __init__(self, signature: str | type[Signature], **config: Any) -> None:
        super().__init__(ensure_signature(signature), config)
        self._compiled: tuple[Any, ...] | None = None

    def flow(
        self, *, config: Mapping[str, Any] | None = None, lm: BaseLM | None = None, **inputs: Any
    ) -> Flow[Prediction]:
        """Render the prompt, call the LM, read the outputs; once more with the fallback adapter if need be.

        Args:
            config: Sampling parameters of this call, over those of the predictor.
            lm: The LM of this call.
            **inputs: The signature's input fields.
        """
        settings = current()
        lm = lm or self.lm or settings.lm
        if lm is None:
            message = 'no LM is set: dspex_core.configure(lm=LM("provider/model")), or context(lm=...), or set_lm'
            raise LMNotConfiguredError(message)
        self._check(inputs)
        adapter = settings.adapter or _ADAPTERS[lm.preferred_adapter]
        config = {**self.config, **(config or {})}
        try:
            prediction = yield from self._ask(lm, adapter, inputs, config)
        except AdapterParseError as error:
            if adapter.fallback is None:
                raise
            _log.info("%s; asking again with %r", error, adapter.fallback)
            prediction = yield from self._ask(lm, adapter.fallback, inputs, config)
        if settings.trace is not None:
            settings.trace.append((self, inputs, prediction))
        return prediction

    def __repr__(self) -> str:
        demos = f", {len(self.demos)} demos" if self.demos else ""
        return f"{type(self).__name__}({self.signature!r}{demos})"

    def _ask(self, lm: BaseLM, adapter: Adapter, inputs: dict[str, Any], config: Mapping[str, Any]) -> Flow[Prediction]:
        prompt = self._prompt(adapter)
        chosen = self.demo_selector.choose(self.signature, self._demos, inputs) if self.demo_selector else None
        request = LMRequest(
            prompt.messages(adapter.user(self.signature, inputs), chosen),
            {name: value for name, value in config.items() if name != "rollout_id"},
            response_schema=prompt.response_schema,
            rollout_id=config.get("rollout_id"),
        )
        response = yield LMCall(lm, request)
        return Prediction.from_completions([adapter.parse(self.signature, output.text) for output in response.outputs])

    def _prompt(self, adapter: Adapter) -> CompiledPrompt:
        """Return the part of the prompt that no input changes, rendered once for this state."""
        compiled = self._compiled
        if (
            compiled is None
            or compiled[0] is not self.signature
            or compiled[1] is not self._demos
            or compiled[2] != adapter
        ):
            prompt = adapter.compile(self.signature, self._demos)
            compiled = self._compiled = (self.signature, self._demos, adapter, prompt)
        found: CompiledPrompt = compiled[3]
        return found

    def _check(self, inputs: dict[str, Any]) -> None:
        missing = [
            name
            for name, field in self.signature.input_fields.items()
            if name not in inputs and field.default is MISSING
        ]
        if missing:
            message = f"{self.signature!r} needs the input {', '.join(map(repr, missing))}; it got: {', '.join(inputs)}"
            raise SignatureError(message)
        unknown = [name for name in inputs if name not in self.signature.input_fields]
        if unknown:
            _log.warning("%r has no input %s: ignored", self.signature, ", ".join(map(repr, unknown)))
