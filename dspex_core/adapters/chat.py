"""The chat adapter: each field under a marker line, `[[ ## name ## ]]`. PYTEST_DONT_REWRITE

The wire format is DSPy's, so models and demos tuned for it keep working.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.base import Adapter
from dspex_core.adapters.formats import MARKED, OBJECT, TAGGED
from dspex_core.adapters.json import JSONAdapter
from dspex_core.adapters.marker_stream import MarkerStream
from dspex_core.adapters.markers import markers_of
from dspex_core.adapters.parse import read_reply
from dspex_core.adapters.reply_stream import ReplyStream
from dspex_core.adapters.shown_fields import NOT_SUPPLIED, present, to_text
from dspex_core.messages import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dspex_core.adapters.streams import FieldStream
    from dspex_core.config.contracts import Listener
    from dspex_core.signatures.signature import Signature, SignatureField

_COMPLETED = "[[ ## completed ## ]]"
_FORMATS = (MARKED, OBJECT, TAGGED)


@dataclass(frozen=True)
class ChatAdapter(Adapter):
    """Fields under marker lines: readable for any capable model, with values of any type.

    Args:
        use_json_adapter_fallback: Whether a call is repeated once with `JSONAdapter` after a reply that cannot be
            parsed.
        use_native_function_calling: Whether tools are passed to LMs that support function calling, for signatures with
            an input `list[Tool]` and an output `ToolCalls`.
        parallel_tool_calls: Whether it may then ask for several calls at once; `None` leaves it to the provider.
    """

    callbacks: Sequence[Listener] = field(default=(), compare=False, repr=False)
    use_native_function_calling: bool = False
    native_response_types: Sequence[type] | None = field(default=None, compare=False, repr=False)
    use_json_adapter_fallback: bool = True
    parallel_tool_calls: bool | None = field(default=None, kw_only=True)

    @property
    def fallback(self) -> Adapter | None:
        """`JSONAdapter`, unless opted out."""
        return JSONAdapter(callbacks=self.callbacks) if self.use_json_adapter_fallback else None

    def format_field_description(self, signature: type[Signature]) -> str:
        """Write the inputs and the outputs."""
        outputs = [_listing("Outputs:", signature.output_fields.values())] if signature.output_fields else []
        return "\n\n".join([_listing("Inputs:", signature.input_fields.values()), *outputs])

    def format_field_structure(self, signature: type[Signature]) -> str:
        """Write the layout of the messages."""
        layout = {name: f"{{{name}}}" for name in signature.fields}
        words = "All messages are laid out like this, with the values in place of the braces:"
        return f"{words}\n\n{self._sections(layout, end=True)}"

    def format_task_description(self, signature: type[Signature]) -> str:
        """Write the instructions."""
        return f"Your task:\n{signature.instructions}"

    def inputs(self, signature: type[Signature], values: Mapping[str, Any]) -> str:
        """Write each input under its marker."""
        return self._sections({name: to_text(value) for name, value in present(signature.input_fields, values)})

    def reminder(self, signature: type[Signature]) -> str:
        """List the outputs to answer with."""
        if not signature.output_fields:
            return ""
        outputs = ", ".join([expected(field, _marker(field.name)) for field in signature.output_fields.values()])
        return f"\n\nAnswer with these fields, in this order: {outputs}, and then `{_COMPLETED}`."

    def assistant(self, signature: type[Signature], outputs: Mapping[str, Any]) -> Message:
        """Write each output under its marker, and the closing marker."""
        given = dict(present(signature.output_fields, outputs))
        texts = {name: to_text(given.get(name, NOT_SUPPLIED)) for name in signature.output_fields}
        return Message("assistant", self._sections(texts, end=True))

    def parse(self, signature: type[Signature], completion: str) -> dict[str, Any]:
        """Read the outputs under their markers: of several answers the last whole one."""
        return read_reply(signature, completion, formats=_FORMATS, adapter_name="ChatAdapter")

    def field_stream(self, signature: type[Signature]) -> FieldStream:
        """Read the outputs under their markers."""
        stream = MarkerStream(signature.output_fields, markers_of(signature))
        return ReplyStream(signature, _FORMATS, stream)

    def _sections(self, texts: Mapping[str, str], *, end: bool = False) -> str:
        """Write texts under their names, and the mark of the end after them."""
        sections = [f"{_marker(name)}\n{text}" for name, text in texts.items()]
        return "\n\n".join([*sections, _COMPLETED] if end else sections)


def _marker(name: str) -> str:
    return f"[[ ## {name} ## ]]"


def _listing(title: str, fields: Iterable[SignatureField]) -> str:
    lines = [
        f"{number}. `{field.name}` ({field.type_text()}){field.meaning and f': {field.meaning}'}"
        for number, field in enumerate(fields, start=1)
    ]
    return "\n".join([title, *lines])


def expected(field: SignatureField, mark: str) -> str:
    """Write the mark under which an output is expected, and its type unless it is any text."""
    return f"`{mark}`" if field.annotation is str and not field.constraints else f"`{mark}` ({field.type_text()})"
