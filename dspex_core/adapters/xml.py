"""The XML adapter: each field between tags of its name. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.chat import ChatAdapter, expected
from dspex_core.adapters.formats import MARKED, OBJECT, TAGGED
from dspex_core.adapters.parse import read_reply
from dspex_core.adapters.reply_stream import ReplyStream
from dspex_core.adapters.shown_fields import NOT_SUPPLIED, present, to_text
from dspex_core.adapters.streams import tag_stream
from dspex_core.adapters.tags import plain
from dspex_core.messages import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.adapters.streams import FieldStream
    from dspex_core.signatures.signature import Signature

_FORMATS = (TAGGED, MARKED, OBJECT)


@dataclass(frozen=True)
class XMLAdapter(ChatAdapter):
    """Fields between tags, for models that were trained on them; values that are not text are JSON.

    Replies may have `&lt;` and `&amp;` for `<` and `&`, or these themselves. Nested elements are
    read where a model writes them instead of JSON.
    """

    def reminder(self, signature: type[Signature]) -> str:
        """List the outputs to answer with."""
        if not signature.output_fields:
            return ""
        outputs = ", ".join([expected(field, f"<{field.name}>") for field in signature.output_fields.values()])
        return f"\n\nAnswer with these fields, each between its tags, in this order: {outputs}."

    def assistant(self, signature: type[Signature], outputs: Mapping[str, Any]) -> Message:
        """Write each output between its tags, with `<` and `&` as XML has them."""
        given = dict(present(signature.output_fields, outputs))
        texts = {name: _escape(to_text(given.get(name, NOT_SUPPLIED))) for name in signature.output_fields}
        return Message("assistant", self._sections(texts))

    def parse(self, signature: type[Signature], completion: str) -> dict[str, Any]:
        """Read the outputs between their tags: of several answers the last whole one."""
        return read_reply(signature, completion, formats=_FORMATS, adapter_name="XMLAdapter")

    def field_stream(self, signature: type[Signature]) -> FieldStream:
        """Read the outputs between their tags."""
        return ReplyStream(signature, _FORMATS, tag_stream(signature.output_fields, plain))

    def _sections(self, texts: Mapping[str, str], *, end: bool = False) -> str:
        return "\n\n".join([f"<{name}>\n{text}\n</{name}>" for name, text in texts.items()])


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
