"""Native function calling: tools go to the LM apart from the prompt, and its calls come back so. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.parse import read_outputs
from dspex_core.adapters.shown_fields import without
from dspex_core.errors import AdapterParseError, SignatureError
from dspex_core.messages import LMRequest, canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.adapters.base import Adapter
    from dspex_core.adapters.prompt import CompiledPrompt
    from dspex_core.config.contracts import LanguageModel
    from dspex_core.messages import FunctionSpec, LMOutput
    from dspex_core.signatures.signature import Signature, SignatureField


@dataclass(frozen=True, slots=True)
class ToolFields:
    """The fields of a signature that have to do with tools: those with tools, those for calls."""

    signature: type[Signature]
    given: tuple[SignatureField, ...]
    asked: tuple[SignatureField, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that a prompt does not show where the LM takes tools natively."""
        return tuple(field.name for field in (*self.given, *self.asked))

    def checked(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs with a tool for each function that was given as one.

        Raises:
            SignatureError: One of them cannot be a tool.
        """
        found = dict(inputs)
        for field in self.given:
            if found.get(field.name) is not None:
                try:
                    found[field.name] = field.validate(found[field.name])
                except ValueError as error:
                    raise SignatureError(f"the value of {field.name!r} does not fit: {error}") from error
        return found

    def are_native(self, adapter: Adapter, lm: LanguageModel) -> bool:
        """Whether the LM is to be given the tools apart from the prompt.

        Raises:
            SignatureError: The adapter does so, and there is no field with tools.
        """
        if not (self.asked and adapter.use_native_function_calling):
            return False
        if not self.given:
            message = (
                f"{self.signature!r} asks for tool calls ({self.asked[0].name!r}) and is given no tools: add an input "
                f"of the type list[Tool], or use {type(adapter).__name__}(use_native_function_calling=False)"
            )
            raise SignatureError(message)
        return lm.supports_function_calling

    def specs(self, inputs: Mapping[str, Any]) -> tuple[FunctionSpec, ...]:
        """Return the tools in the inputs as a request describes them."""
        values = [inputs.get(field.name) for field in self.given]
        tools = [tool for value in values for tool in (value if isinstance(value, list | tuple) else [value])]
        return tuple(tool.spec() for tool in tools if tool is not None)


@lru_cache(maxsize=256)
def tool_fields(signature: type[Signature]) -> ToolFields | None:
    """Return the fields that have to do with tools; `None` for a signature that has none."""
    given = tuple(field for field in signature.input_fields.values() if field.is_tools)
    asked = tuple(field for field in signature.output_fields.values() if field.is_tool_calls)
    return ToolFields(signature, given, asked) if given or asked else None


def request_with_tools(
    adapter: Adapter,
    prompt: CompiledPrompt,
    *,
    tools: tuple[FunctionSpec, ...],
    asked: type[Signature],
    inputs: Mapping[str, Any],
    chosen: Sequence[int] | None,
    config: Mapping[str, Any],
) -> LMRequest:
    """Write a question in an adapter's format, with tools.

    Args:
        adapter: The format.
        prompt: The part of it that no input changes.
        tools: The functions that the LM is given.
        asked: The signature that the prompt shows.
        inputs: The values of its inputs.
        chosen: Which demos are shown; `None` for all.
        config: Sampling parameters.

    No schema is sent: a reply that is held to one could ask for no call. After earlier turns there
    has no last message if no input has a value: the model goes on from the results of its calls.
    """
    messages = list(adapter.earlier(asked, inputs, natively=True))
    fields = asked.input_fields
    if not messages or any(inputs.get(name) is not None for name in fields if not fields[name].is_history):
        messages.append(adapter.user(asked, inputs))
    if adapter.parallel_tool_calls is not None:
        config = {"parallel_tool_calls": adapter.parallel_tool_calls, **config}
    *earlier, last = messages
    return LMRequest(prompt.messages(last, chosen, earlier), config, tools=tools)


def read_with_calls(
    adapter: Adapter, signature: type[Signature], asked: type[Signature], output: LMOutput
) -> dict[str, Any]:
    """Read a reply to a request with tools: the calls, and those outputs that the model wrote beside them.

    Args:
        adapter: The format of the text.
        signature: Whose outputs are wanted.
        asked: What the prompt shows of it.
        output: The reply.

    Raises:
        AdapterParseError: The reply is empty, or has no calls and a text that cannot be read, or a call
            whose arguments cannot be.
    """
    text = output.text.strip()
    if not (text or output.tool_calls):
        raise AdapterParseError(
            adapter_name=type(adapter).__name__,
            signature=signature,
            lm_response=output.text,
            message="It is empty: neither text nor a call of a tool.",
        )
    said: dict[str, Any] = {}
    if text and asked.output_fields:
        try:
            said = adapter.parse(asked, output.text)
        except AdapterParseError as error:
            said = error.parsed_result or _as_the_only_text(asked, text)
            if not (said or output.tool_calls):
                raise
    return {**said, **_calls(adapter, signature, output)} if output.tool_calls else said


def _as_the_only_text(asked: type[Signature], text: str) -> dict[str, Any]:
    """Take a text that keeps to no format as the only output there is: models that call functions write so."""
    match list(asked.output_fields.values()):
        case [only] if only.is_text:
            return {only.name: only.validate(text)}
    return {}


def _calls(adapter: Adapter, signature: type[Signature], output: LMOutput) -> dict[str, Any]:
    others = [name for name, field in signature.output_fields.items() if not field.is_tool_calls]
    wanted = without(signature, *others)
    calls = [call.to_json() for call in output.tool_calls]
    return read_outputs(
        wanted,
        dict.fromkeys(wanted.output_fields, calls),
        read=lambda field, value: field.validate(value),
        adapter_name=type(adapter).__name__,
        text=canonical_json(calls),
    )
