"""The contract of an adapter, and the prompt that it compiles. PYTEST_DONT_REWRITE

An adapter does no I/O and keeps no state. The part that depends on a predictor's state only is
rendered once, into a `CompiledPrompt`; a call renders only its inputs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.hooks import Hooks, as_messages, is_message
from dspex_core.adapters.prompt import CompiledPrompt
from dspex_core.adapters.shown_fields import present, without
from dspex_core.errors import AdapterParseError, SignatureError
from dspex_core.flow.steps import adrive, drive
from dspex_core.messages import LMRequest, Message, ResponseSchema
from dspex_core.plain.display import unwritten_text
from dspex_core.plain.prompt_values import Content, FunctionCalls, Placement
from dspex_core.signatures.signature import MISSING, OutputField, make_signature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.adapters.streams import FieldStream
    from dspex_core.config.contracts import LanguageModel, Listener
    from dspex_core.flow.steps import Flow
    from dspex_core.signatures.signature import Signature, SignatureField

_SCALARS = frozenset({str, int, float, bool, type(None), type(MISSING)})  # they contain no values with their own form
INCOMPLETE = "An example in which not every field is supplied.\n\n"


@dataclass(frozen=True, slots=True)
class Extraction:
    """A second call, which extracts the outputs from a free-form answer.

    Args:
        lm: The LM to call.
        adapter: The format of the call.
        signature: Its one input is the answer, its outputs are those to extract.
    """

    lm: LanguageModel
    adapter: Adapter
    signature: type[Signature]


@dataclass(frozen=True, eq=False, init=False)
class Adapter(Hooks):
    """Turns a signature, demos and inputs into messages, and a reply into outputs.

    Adapters are values: equal when of the same type with the same options.

    Args:
        callbacks: Receive events of this adapter's writing and reading, in addition to those in the settings.
        use_native_function_calling: Whether tools are passed to LMs that support function calling, for signatures with
            an input `list[Tool]` and an output `ToolCalls`.
        native_response_types: No effect, and a warning; accepted for DSPy's code.
        parallel_tool_calls: Whether the LM may then ask for several calls at once; `None` leaves it to the provider.
    """

    callbacks: Sequence[Listener] = field(default=(), kw_only=True, compare=False, repr=False)
    use_native_function_calling: bool = field(default=False, kw_only=True)
    native_response_types: Sequence[type] | None = field(default=None, kw_only=True, compare=False, repr=False)
    parallel_tool_calls: bool | None = field(default=None, kw_only=True)

    def __init__(  # the built-in adapters have their own; a user's may give these by position, as in DSPy
        self,
        callbacks: Sequence[Listener] | None = None,
        use_native_function_calling: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        native_response_types: Sequence[type] | None = None,
        parallel_tool_calls: bool | None = None,  # noqa: FBT001  as in DSPy
    ) -> None:
        object.__setattr__(self, "callbacks", callbacks)
        object.__setattr__(self, "use_native_function_calling", use_native_function_calling)
        object.__setattr__(self, "native_response_types", native_response_types)
        object.__setattr__(self, "parallel_tool_calls", parallel_tool_calls)
        self.__post_init__()

    def __post_init__(self) -> None:
        object.__setattr__(self, "callbacks", list(self.callbacks or ()))  # DSPy's default is None; users append to it
        if self.native_response_types:
            message = (
                "native_response_types has no effect: the types Reasoning, Citations and ToolCalls say themselves what "
                "is taken from beside a reply's text"
            )
            warnings.warn(message, stacklevel=3)

    @property
    def fallback(self) -> Adapter | None:
        """The adapter that the caller tries once, with a new call, when a reply cannot be parsed."""
        return None

    def written(self, outputs: Mapping[str, Any]) -> str:
        """Return the reply with these outputs, without a signature: for scripted LMs."""
        return self.assistant(make_signature({name: (Any, OutputField()) for name in outputs}), outputs).text

    def parse(self, signature: type[Signature], completion: str) -> dict[str, Any]:
        """Parse a reply: the outputs by name, in the signature's order, converted to their types.

        Raises:
            AdapterParseError: An output is missing or does not fit its type.
        """
        raise NotImplementedError(f"{type(self).__name__} must define parse(self, signature, completion)")

    def __call__(
        self,
        lm: LanguageModel,
        lm_kwargs: Mapping[str, Any],
        signature: type[Signature],
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """Call an LM once and parse its reply; return the outputs of each completion.

        Raises:
            AdapterParseError: Neither this reply nor that of the fallback adapter can be parsed.
        """
        return drive(_asked(self, lm, lm_kwargs, signature, demos, inputs))

    async def acall(
        self,
        lm: LanguageModel,
        lm_kwargs: Mapping[str, Any],
        signature: type[Signature],
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """`__call__` without blocking the event loop."""
        return await adrive(_asked(self, lm, lm_kwargs, signature, demos, inputs))

    @property
    def asks_itself(self) -> bool:
        """Whether a subclass, or a test, has put something in the place of the call of the LM."""
        kind = type(self)
        return kind.__call__ is not _CALL or kind.acall is not _ACALL

    @property
    def writes_itself(self) -> bool:
        """Whether a subclass overrides a hook, or a test has put something in the place of `format`."""
        return self.overrides_hooks or type(self).format is not _FORMAT

    def response_schema(self, signature: type[Signature]) -> ResponseSchema | None:
        """Return the JSON schema for replies, if they are JSON."""
        return None

    def extraction(self, signature: type[Signature]) -> Extraction | None:
        """Return the call that extracts the outputs from a reply, for an adapter with free-form replies.

        `parse` is then for the reply of that call.
        """
        return None

    def field_stream(self, signature: type[Signature]) -> FieldStream | None:
        """Return the reader of a streamed reply; `None` for an adapter with free-form replies."""
        return None

    def correction(self, signature: type[Signature], error: AdapterParseError) -> str:
        """Write the turn that asks for a better reply after one that could not be parsed."""
        problems = "\n".join(error.problems)
        return f"This reply cannot be read.\n{problems}\nAnswer again, in full.{self.reminder(signature)}"

    def compile(self, signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> CompiledPrompt:
        """Render the part of the prompt that is the same for all calls."""
        shown = _shown(signature)
        return CompiledPrompt(
            system=Message("system", self.system(shown)),
            demos=tuple(self._demo(shown, demo) for demo in demos),
            response_schema=self.response_schema(shown),
        )

    def user(self, signature: type[Signature], inputs: Mapping[str, Any]) -> Message:
        """Render the inputs of a call; defaults stand in for those not given.

        Raises:
            SignatureError: An input does not fit its type.
        """
        shown = _shown(signature)
        return Message("user", self._content(shown, inputs, after=_reminder(self, shown)))

    def earlier(
        self, signature: type[Signature], inputs: Mapping[str, Any], *, natively: bool = False
    ) -> tuple[Message, ...]:
        """Render the turns of a call's `History`, each as a user and an assistant message.

        A turn with tool calls is followed by their results: as an input of that name, or `natively` as function-calling
        messages.

        Raises:
            SignatureError: The input is not a history, or a value in it does not fit its type.
        """
        shown = _shown(signature)
        if shown is signature:
            return ()
        turns = [
            turn
            for name, value in present(signature.input_fields, inputs)
            if name not in shown.fields and value is not None
            for turn in _validated(signature.fields[name], value).messages
        ]
        return tuple(
            message
            for number, turn in enumerate(turns, start=1)
            for message in self._earlier_turn(shown, turn, number if natively else None)
        )

    def format(
        self, signature: type[Signature], demos: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Return the whole conversation as dicts, as DSPy does."""
        if self.overrides_hooks:
            return self._written(signature, demos, inputs)
        earlier = self.earlier(signature, inputs)
        messages = self.compile(signature, demos).messages(self.user(signature, inputs), earlier=earlier)
        return [message.to_json() for message in messages]

    def format_finetune_data(
        self,
        signature: type[Signature],
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
    ) -> dict[str, list[dict[str, Any]]]:
        """Return a call and its answer as a training example: `{"messages": [...]}`."""
        answer = {"role": "assistant", "content": self.format_assistant_message_content(signature, outputs)}
        return {"messages": [*self.format(signature, demos, inputs), answer]}

    def request(
        self,
        signature: type[Signature],
        demos: Sequence[Mapping[str, Any]],
        inputs: Mapping[str, Any],
        config: Mapping[str, Any],
    ) -> LMRequest:
        """Write a whole request, without anything kept between calls."""
        messages = as_messages(self.format(signature, list(demos), dict(inputs)), self)
        return LMRequest(messages, config, response_schema=self.response_schema(_shown(signature)))

    def _written(
        self, signature: type[Signature], demos: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Write the conversation through the hooks; images and the like are marks in their texts."""
        shown = _shown(signature)
        texts, placement = _placed(shown, inputs)
        text = self.format_user_message_content(shown, texts, main_request=True)
        last = Message("user", placement.content(text) if placement else text)
        earlier = [
            message
            for name, value in present(signature.input_fields, inputs)
            if name not in shown.fields and value is not None
            for message in self.format_conversation_history(
                shown, name, {**inputs, name: _validated(signature.fields[name], value)}
            )
        ]
        system = {"role": "system", "content": self.format_system_message(shown)}
        return [system, *self.format_demos(shown, demos), *earlier, last.to_json()]

    def _demo(self, signature: type[Signature], demo: Mapping[str, Any]) -> tuple[Message, ...]:
        demo = _without_nothing(signature, demo)
        answered = any(name in demo for name in signature.output_fields)
        asked = any(name in demo for name in signature.input_fields) or not signature.input_fields
        if not (asked and answered):
            return ()
        complete = len(list(present(signature.fields, demo))) == len(signature.fields)
        return self._turn(signature, demo, before="" if complete else INCOMPLETE)

    def _turn(self, signature: type[Signature], values: Mapping[str, Any], before: str = "") -> tuple[Message, ...]:
        user = Message("user", self._content(signature, values, before=before))
        return (user, self.assistant(signature, values))

    def _earlier_turn(
        self, signature: type[Signature], values: Mapping[str, Any], number: int | None
    ) -> tuple[Message, ...]:
        """Render a turn; that of a `number` is one of a conversation with native tool calls."""
        if is_message(signature, values):
            return (Message.from_json(values),)
        calls = _tool_calls(values)
        if not calls:
            return self._turn(signature, values)
        [(name, asked)] = calls.items()
        given = any(values.get(field) is not None for field in signature.input_fields)
        user = [Message("user", self._content(signature, values))] if given else []
        if number is not None:
            unsaid = [field for field in signature.output_fields if field == name or values.get(field) is None]
            said = without(signature, *unsaid)
            text = self.assistant(said, values).text if said.output_fields else ""
            return (*user, *asked.turn(text, number))
        results = [Message("user", self.inputs(_results_shown(), asked.results()))] if asked.results() else []
        return (*user, self.assistant(signature, {**values, name: asked.format()}), *results)

    def _content(
        self, signature: type[Signature], values: Mapping[str, Any], *, before: str = "", after: str = ""
    ) -> Content:
        """Write inputs, with images and the like as parts in their places."""
        texts, placement = _placed(signature, values)
        text = before + self.inputs(signature, texts) + after
        return placement.content(text) if placement else text


_CALL, _ACALL, _FORMAT = Adapter.__call__, Adapter.acall, Adapter.format  # as they are before a test patches them


def _asked(
    adapter: Adapter,
    lm: LanguageModel,
    config: Mapping[str, Any],
    signature: type[Signature],
    demos: Sequence[Mapping[str, Any]],
    inputs: Mapping[str, Any],
) -> Flow[list[dict[str, Any]]]:
    response = yield from lm.steps(adapter.request(signature, demos, inputs, config))
    try:
        return [adapter.parse(signature, output.text) for output in response.outputs]
    except AdapterParseError:
        if adapter.fallback is None:
            raise
    return (yield from _asked(adapter.fallback, lm, config, signature, demos, inputs))


def _without_nothing(signature: type[Signature], demo: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a demo without the outputs that the model left out, as it may beside tool calls."""
    outputs = signature.output_fields
    unsaid = {name for name in outputs if name in demo and demo[name] is None and not outputs[name].takes_none}
    return {name: value for name, value in demo.items() if name not in unsaid} if unsaid else demo


def _tool_calls(turn: Mapping[str, Any]) -> dict[str, FunctionCalls]:
    """Return the tool calls in an earlier turn by the name of their field, if there are any."""
    for name, value in turn.items():
        if isinstance(value, FunctionCalls):
            return {name: value}
        if isinstance(value, dict) and "tool_calls" in value:
            from dspex_core.types import ToolCalls  # loads pydantic; a history of this kind has done that

            return {name: ToolCalls.model_validate(value)}
    return {}


@lru_cache(maxsize=1)
def _results_shown() -> type[Signature]:
    """Return a signature with tool results as its input."""
    return make_signature("tool_call_results: list -> answer")


@lru_cache(maxsize=256)
def _reminder(adapter: Adapter, signature: type[Signature]) -> str:
    """Return what follows the inputs of each call, written once."""
    return adapter.reminder(signature)


@lru_cache(maxsize=256)
def _shown(signature: type[Signature]) -> type[Signature]:
    """Return the signature without its history, whose turns are messages of their own."""
    return without(signature, *[name for name, field in signature.input_fields.items() if field.is_history])


@lru_cache(maxsize=256)
def _is_plain(signature: type[Signature]) -> bool:
    """Whether only values, not types or defaults of inputs, can have their own form in prompts."""
    inputs = signature.input_fields.values()
    return not any(field.shows_itself or type(field.absent) not in _SCALARS for field in inputs)


def _placed(signature: type[Signature], values: Mapping[str, Any]) -> tuple[Mapping[str, Any], Placement | None]:
    """Return the values with marks for parts that cannot be text, and the parts by their marks."""
    if _is_plain(signature) and _SCALARS.issuperset(map(type, values.values())):
        return values, None
    placement = Placement()
    texts = {}
    for name, value in present(signature.input_fields, values):
        declared = signature.input_fields[name]
        checked = _validated(declared, value) if declared.shows_itself else value
        try:
            marked = placement.marked(checked)
        except (ValueError, TypeError, RecursionError) as error:  # it holds itself, or a text of its own cannot be made
            raise SignatureError(
                f"the value of {name!r} cannot be written in a prompt: {unwritten_text(error)}"
            ) from error
        if marked is not value:
            texts[name] = marked
    return ({**values, **texts}, placement) if texts else (values, None)


def _validated(declared: SignatureField, value: Any) -> Any:
    try:
        return declared.validate(value)
    except ValueError as error:
        raise SignatureError(f"the value of {declared.name!r} does not fit: {error}") from error
