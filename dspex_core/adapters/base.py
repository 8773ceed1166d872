"""The contract of an adapter, and the prompt that it compiles. PYTEST_DONT_REWRITE

An adapter does no I/O and keeps no state. What depends on a predictor's state only is
rendered once, into a `CompiledPrompt`; a call renders only its inputs.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.messages import Message, ResponseSchema
from dspex_core.signature import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dspex_core.signature import Signature, SignatureField

NOT_SUPPLIED = "(not supplied in this example)"
INCOMPLETE = "An example in which not every field is supplied.\n\n"


@dataclass(frozen=True, slots=True)
class CompiledPrompt:
    """All of a prompt that depends on the predictor's state only.

    Args:
        system: The instructions and the fields.
        demos: A user and an assistant message for each demo; nothing for a demo that lacks
            every input or every output.
        response_schema: What the reply is to be held to, where the adapter asks for that.
    """

    system: Message
    demos: tuple[tuple[Message, ...], ...]
    response_schema: ResponseSchema | None
    _prefix: tuple[Message, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_prefix", (self.system, *(message for demo in self.demos for message in demo)))

    def messages(self, user: Message, chosen: Sequence[int] | None = None) -> tuple[Message, ...]:
        """Return the whole conversation: with all demos, or those at the indices `chosen` in that order."""
        if chosen is None:
            return (*self._prefix, user)
        return (self.system, *(message for index in chosen for message in self.demos[index]), user)


class Adapter(ABC):
    """How a signature, demos and inputs become messages, and a reply becomes outputs.

    Adapters are values: equal when of the same type with the same options.
    """

    @property
    def fallback(self) -> Adapter | None:
        """The adapter that the caller tries once, with a new call, when a reply cannot be parsed."""
        return None

    @abstractmethod
    def system(self, signature: type[Signature]) -> str:
        """Write the instructions and the fields."""

    @abstractmethod
    def inputs(self, signature: type[Signature], values: Mapping[str, Any]) -> str:
        """Write input values; those that are not there are left out."""

    @abstractmethod
    def assistant(self, signature: type[Signature], outputs: Mapping[str, Any]) -> Message:
        """Write outputs as the model should; those that are not there are said to be not supplied."""

    @abstractmethod
    def parse(self, signature: type[Signature], text: str) -> dict[str, Any]:
        """Read a reply: the outputs by name, in the signature's order, as their types.

        Raises:
            AdapterParseError: An output is missing or does not fit its type.
        """

    def reminder(self, signature: type[Signature]) -> str:
        """Write what follows the inputs of a call (not those of demos)."""
        return ""

    def response_schema(self, signature: type[Signature]) -> ResponseSchema | None:
        """Return the JSON schema that replies are to be held to, if they are JSON."""
        return None

    def compile(self, signature: type[Signature], demos: Sequence[Mapping[str, Any]]) -> CompiledPrompt:
        """Render what does not change from call to call."""
        return CompiledPrompt(
            system=Message("system", self.system(signature)),
            demos=tuple(self._demo(signature, demo) for demo in demos),
            response_schema=self.response_schema(signature),
        )

    def user(self, signature: type[Signature], inputs: Mapping[str, Any]) -> Message:
        """Render the inputs of a call; defaults stand in for those not given."""
        return Message("user", self.inputs(signature, inputs) + self.reminder(signature))

    def format(
        self, signature: type[Signature], demos: Sequence[Mapping[str, Any]], inputs: Mapping[str, Any]
    ) -> list[dict[str, str]]:
        """Return the whole conversation as dicts, as DSPy does."""
        messages = self.compile(signature, demos).messages(self.user(signature, inputs))
        return [message.to_json() for message in messages]

    def _demo(self, signature: type[Signature], demo: Mapping[str, Any]) -> tuple[Message, ...]:
        answered = any(name in demo for name in signature.output_fields)
        asked = any(name in demo for name in signature.input_fields) or not signature.input_fields
        if not (asked and answered):
            return ()
        complete = len(list(present(signature.fields, demo))) == len(signature.fields)
        user = Message("user", ("" if complete else INCOMPLETE) + self.inputs(signature, demo))
        return (user, self.assistant(signature, demo))


def present(fields: Mapping[str, SignatureField], values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Pairs of name and value of the fields that have a value or a default."""
    for name, declared in fields.items():
        value = values.get(name, declared.default)
        if value is not MISSING:
            yield name, value


def to_json(value: Any) -> Any:
    """Return a value as JSON data: pydantic models, dataclasses, dates and enums included."""
    from pydantic_core import to_jsonable_python  # comes with pydantic, which signatures load when needed

    return to_jsonable_python(value, fallback=str)


def to_text(value: Any) -> str:
    """Write a value for a prompt: text as it is, all else as JSON."""
    if type(value) is str:
        return value
    plain = to_json(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
