"""Asking an LM for a signature's outputs until a reply can be read. PYTEST_DONT_REWRITE

The calls in their order: the question; as often as the settings allow, the same conversation
with the bad reply and what was wrong with it; once the adapter's fallback.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.cut_off import BREAKS_OFF, cut_in_two, with_its_text_ended
from dspex_core.adapters.shown_fields import without
from dspex_core.config import current
from dspex_core.errors import AdapterParseError, TruncatedReplyError
from dspex_core.flow.steps import Call, SyncOrAsync
from dspex_core.lm.cut_off import truncated
from dspex_core.messages import LMRequest, Message
from dspex_core.plain.attributes import attributes
from dspex_core.plain.reading.choices import normal_name
from dspex_core.programs.native_tools import read_with_calls, request_with_tools
from dspex_core.telemetry.spans import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.adapters.base import Adapter, Extraction
    from dspex_core.adapters.prompt import CompiledPrompt
    from dspex_core.config.contracts import LanguageModel, Listener, ReplyReader
    from dspex_core.flow.steps import Flow
    from dspex_core.messages import FunctionSpec, LMOutput, LMResponse
    from dspex_core.signatures.signature import Signature, SignatureField

    Outputs = Mapping[str, Any]

_log = logging.getLogger("dspex")


@dataclass(slots=True)  # not frozen: one is made for each call, and freezing costs it three times as much
class Question:
    """The content of a request, before an adapter gives it a format. It does not change.

    Args:
        signature: Whose outputs are wanted.
        inputs: The values of its inputs.
        prompt: Gives the part of the prompt that no input changes, in an adapter's format.
        chosen: Which demos are shown, in that order; `None` for all.
        config: Sampling parameters.
        apart: The outputs that the model is not asked to write, as it returns its reasoning apart.
        listen: Returns the reader of a streamed reply in an adapter's format; of a second reply, one that emits what
            replaces the first.
        demos: The worked examples in the prompt, for events.
        tools: The functions that the LM is given apart from the prompt; `None` where it is not asked so.
            The fields for tools and their calls are then among those `apart`.
        callbacks: Receive events of writing it and of reading replies, in addition to the adapter's own.
    """

    signature: type[Signature]
    inputs: Mapping[str, Any]
    prompt: Callable[[Adapter], CompiledPrompt]
    chosen: Sequence[int] | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    apart: tuple[str, ...] = ()
    listen: Callable[[Adapter, type[Signature], Sequence[str]], ReplyReader | None] | None = None
    demos: Sequence[Mapping[str, Any]] = ()
    tools: tuple[FunctionSpec, ...] | None = None
    callbacks: Sequence[Listener] = ()

    @property
    def asked(self) -> type[Signature]:
        """The signature that the prompt shows."""
        return without(self.signature, *self.apart) if self.apart else self.signature

    def request(self, adapter: Adapter) -> LMRequest:
        """Write the question in an adapter's format."""
        if not (self.callbacks or adapter.callbacks):
            return self._request(adapter)
        demos = self.shown_demos()
        event: dict[str, Any] = {"instance": adapter, "signature": self.asked, "demos": demos, "inputs": self.inputs}
        with Span("adapter_format", event, (*self.callbacks, *adapter.callbacks)):
            event["result"] = request = self._request(adapter)
        return request

    def shown_demos(self) -> Sequence[Mapping[str, Any]]:
        """Return the demos that are shown, in their order."""
        return self.demos if self.chosen is None else [self.demos[index] for index in self.chosen]

    def _request(self, adapter: Adapter) -> LMRequest:
        if adapter.writes_itself:
            request = adapter.request(self.asked, self.shown_demos(), self.inputs, self.config)
            return request if self.tools is None else replace(request, tools=self.tools, response_schema=None)
        prompt, asked = self.prompt(adapter), self.asked
        if self.tools is not None:
            return request_with_tools(
                adapter,
                prompt,
                tools=self.tools,
                asked=asked,
                inputs=self.inputs,
                chosen=self.chosen,
                config=self.config,
            )
        user, earlier = adapter.user(asked, self.inputs), adapter.earlier(asked, self.inputs)
        return LMRequest(
            prompt.messages(user, self.chosen, earlier),
            self.config,
            response_schema=prompt.response_schema,
        )

    def read(self, adapter: Adapter, output: LMOutput) -> Outputs:
        """Read a reply; what the model has returned apart from it is its reasoning.

        Raises:
            AdapterParseError: The reply cannot be read.
        """
        if not (self.callbacks or adapter.callbacks):
            return self._read(adapter, output)
        event: dict[str, Any] = {"instance": adapter, "signature": self.signature, "completion": output.text}
        with Span("adapter_parse", event, (*self.callbacks, *adapter.callbacks)):
            event["result"] = outputs = self._read(adapter, output)
        return outputs

    def _read(self, adapter: Adapter, output: LMOutput) -> Outputs:
        outputs = self._outputs(adapter, output)
        if output.logprobs is None or "logprobs" in self.signature.output_fields:
            return outputs
        return {**outputs, "logprobs": attributes(output.logprobs)}

    def _outputs(self, adapter: Adapter, output: LMOutput) -> Outputs:
        apart = self.apart
        if output.reasoning and not apart:
            apart = reasoning_outputs(self.signature)
        if self.tools is not None:
            asked = without(self.signature, *apart)
            return self.completed(read_with_calls(adapter, self.signature, asked, output), output)
        if not apart:
            return adapter.parse(self.signature, output.text)
        return self.completed(adapter.parse(without(self.signature, *apart), output.text), output)

    def completed(self, outputs: Outputs, output: LMOutput) -> Outputs:
        """Return outputs with those that the model has returned apart, in the signature's order."""
        fields = self.signature.output_fields
        return {
            name: outputs[name] if name in outputs else self._returned(declared, output)
            for name, declared in fields.items()
        }

    def _returned(self, declared: SignatureField, output: LMOutput) -> Any:
        """Return an output that is not in the text: the reasoning, or nothing where the model called tools instead."""
        if declared.is_reasoning and (output.reasoning or self.tools is None):
            return declared.validate(output.reasoning or "")
        return None if declared.is_required() else declared.absent


def reasoning_outputs(signature: type[Signature]) -> tuple[str, ...]:
    """Return the outputs of the type `Reasoning`; nothing if the signature has no other output."""
    found = tuple(name for name, declared in signature.output_fields.items() if declared.is_reasoning)
    return found if len(found) < len(signature.output_fields) else ()


def ask(lm: LanguageModel, adapter: Adapter, question: Question) -> Flow[list[Outputs]]:
    """Ask until a reply can be read; return the outputs of each completion.

    Raises:
        AdapterParseError: No reply could be read; it is that of the last.
        TruncatedReplyError: A reply could not be read because it was cut off. It is not asked for again: at the same
            limit the next would most likely be cut off, too, and be paid for, too.
    """
    if adapter.asks_itself:
        args = (lm, dict(question.config), question.asked, list(question.shown_demos()), dict(question.inputs))
        answered: list[Outputs] = yield SyncOrAsync(Call(adapter, args), Call(adapter.acall, args))
        return answered
    extraction = adapter.extraction(question.asked)
    if extraction is not None:
        return (yield from _ask_in_two_steps(lm, adapter, question, extraction))
    try:
        return (yield from _converse(lm, adapter, question, current().parse_retries))
    except TruncatedReplyError:
        raise
    except AdapterParseError as error:
        if adapter.fallback is None:
            raise
        _log.info("%s; asking again with %r", error, adapter.fallback)
    return (yield from _converse(lm, adapter.fallback, question, retries=0))


def _converse(lm: LanguageModel, adapter: Adapter, question: Question, retries: int) -> Flow[list[Outputs]]:
    request = question.request(adapter)
    for number in range(1, retries + 1):
        response = yield from _answer(lm, adapter, question, request)
        try:
            return _read(lm, adapter, question, response)
        except TruncatedReplyError:
            raise
        except AdapterParseError as error:
            _log.info("%s; asking again with what was wrong (%d of %d)", error, number, retries)
            request = _corrected(request, adapter, error)
    response = yield from _answer(lm, adapter, question, request)
    return _read(lm, adapter, question, response)


def _answer(lm: LanguageModel, adapter: Adapter, question: Question, request: LMRequest) -> Flow[LMResponse]:
    """Ask once; who streams the program hears the reply as it arrives."""
    reader = question.listen(adapter, question.signature, question.apart) if question.listen else None
    return lm.steps(request) if reader is None else _streamed(lm, request, reader)


def _streamed(lm: LanguageModel, request: LMRequest, reader: ReplyReader) -> Flow[LMResponse]:
    response = yield from lm.steps(replace(request, on_chunk=reader))
    reader.close()
    return response


def _read(lm: LanguageModel, adapter: Adapter, question: Question, response: LMResponse) -> list[Outputs]:
    read = []
    for output in response.outputs:
        try:
            found = question.read(adapter, output)
            if output.is_cut_off:
                _refuse_halves(adapter, question, output, found)
            read.append(found)
        except AdapterParseError as error:
            if not output.is_cut_off:
                raise
            ended = _read_cut_off(adapter, question, output)
            if ended is None:
                raise truncated(error, output, {**lm.config, **question.config}) from error
            read.append(ended)
    return read


def _refuse_halves(adapter: Adapter, question: Question, output: LMOutput, found: Outputs) -> None:
    """Refuse a reply that was cut off in an output, unless that is a text, or before one.

    Raises:
        AdapterParseError: It was.
    """
    halves: tuple[str, ...]
    if question.tools is not None:
        halves = () if not output.tool_calls or _is_json(output.tool_calls[-1].arguments) else ("tool_calls",)
    else:
        asked = without(question.signature, *(question.apart or reasoning_outputs(question.signature)))
        halves = cut_in_two(asked, output.text, found, partial(adapter.parse, asked))
    if halves:
        raise AdapterParseError(
            adapter_name=type(adapter).__name__,
            signature=question.signature,
            lm_response=output.text,
            invalid=dict.fromkeys(halves, BREAKS_OFF),
        )


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read_cut_off(adapter: Adapter, question: Question, output: LMOutput) -> Outputs | None:
    """Return the outputs of a reply that was cut off in its last text; `None` if they are not all there."""
    ended = with_its_text_ended(question.signature, output.text)
    if ended is None:
        return None
    try:
        found = question.read(adapter, replace(output, text=ended))
    except AdapterParseError:
        return None
    written = normal_name(output.text)
    is_whole = all(normal_name(name) in written for name in question.asked.output_fields if name not in question.apart)
    return found if is_whole else None


def _ask_in_two_steps(
    lm: LanguageModel, adapter: Adapter, question: Question, extraction: Extraction
) -> Flow[list[Outputs]]:
    response = yield from _answer(lm, adapter, question, question.request(adapter))
    found = []
    for output in response.outputs:
        try:
            heard = question if output is response.outputs[0] else replace(question, listen=None)
            extracted = yield from _extract(extraction, heard, output.text)
        except AdapterParseError as error:
            unread = AdapterParseError(
                adapter_name=type(adapter).__name__,
                signature=question.signature,
                lm_response=output.text,
                message=f"{extraction.lm!r} read it as: {error.lm_response!r}",
                parsed_result=error.parsed_result,
                missing=error.missing,
                invalid=error.invalid,
            )
            if output.is_cut_off:
                unread = truncated(unread, output, {**lm.config, **question.config})
            raise unread from error
        found += [question.completed(outputs, output) for outputs in extracted]
    return found


def _extract(extraction: Extraction, question: Question, text: str) -> Flow[list[Outputs]]:
    [given] = extraction.signature.input_fields
    prompt = partial(_without_demos, extraction.signature)
    asked = Question(extraction.signature, {given: text}, prompt, listen=question.listen, callbacks=question.callbacks)
    return ask(extraction.lm, extraction.adapter, asked)


def _without_demos(signature: type[Signature], adapter: Adapter) -> CompiledPrompt:
    return adapter.compile(signature, ())


def _corrected(request: LMRequest, adapter: Adapter, error: AdapterParseError) -> LMRequest:
    # Some servers refuse an empty turn.
    turns = (
        Message("assistant", error.lm_response or "(an empty reply)"),
        Message("user", adapter.correction(error.signature, error)),
    )
    return replace(request, messages=(*request.messages, *turns))
