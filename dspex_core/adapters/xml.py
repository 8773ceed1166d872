"""The XML adapter: each field between tags of its name. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET
from xml.sax.saxutils import unescape

from dspex_core.adapters.base import NOT_SUPPLIED, present, to_text
from dspex_core.adapters.chat import ChatAdapter, expected
from dspex_core.adapters.parse import parse_text, parse_value, read_outputs
from dspex_core.adapters.streams import tag_stream
from dspex_core.messages import Message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.adapters.streams import FieldStream
    from dspex_core.signature import Signature, SignatureField

_QUOTES = {"&quot;": '"', "&apos;": "'"}


@dataclass(frozen=True, kw_only=True)
class XMLAdapter(ChatAdapter):
    """Fields between tags, for models that were trained on them; values that are no text are JSON.

    Replies may have `&lt;` and `&amp;` for `<` and `&`, or these themselves. Nested elements are
    read where a model writes them instead of JSON.
    """

    def reminder(self, signature: type[Signature]) -> str:
        """Write which outputs to answer with."""
        if not signature.output_fields:
            return ""
        outputs = ", ".join([expected(field, f"<{field.name}>") for field in signature.output_fields.values()])
        return f"\n\nAnswer with these fields, each between its tags, in this order: {outputs}."

    def assistant(self, signature: type[Signature], outputs: Mapping[str, Any]) -> Message:
        """Write each output between its tags, with `<` and `&` as XML has them."""
        given = dict(present(signature.output_fields, outputs))
        texts = {name: _escape(to_text(given.get(name, NOT_SUPPLIED))) for name in signature.output_fields}
        return Message("assistant", self._sections(texts))

    def parse(self, signature: type[Signature], text: str) -> dict[str, Any]:
        """Read the outputs between their tags; of two with one name the first counts."""
        found = _contents(text, signature)
        return read_outputs(signature, found, read=_read, adapter_name="XMLAdapter", text=text)

    def field_stream(self, signature: type[Signature]) -> FieldStream:
        """Read the outputs between their tags."""
        return tag_stream(signature.output_fields, _QUOTES)

    def _sections(self, texts: Mapping[str, str], *, end: bool = False) -> str:
        return "\n\n".join([f"<{name}>\n{text}\n</{name}>" for name, text in texts.items()])


def _contents(text: str, signature: type[Signature]) -> dict[str, str]:
    names = "|".join(map(re.escape, signature.output_fields))
    found: dict[str, str] = {}
    # A tag that is only mentioned is passed over: what counts is between the last one and its end.
    for match in re.finditer(rf"<({names})>((?:(?!<\1>).)*?)</\1>", text, re.DOTALL):
        found.setdefault(match[1], match[2].strip())
    return found


def _read(field: SignatureField, content: str) -> Any:
    try:
        return parse_text(field, unescape(content, _QUOTES))
    except ValueError:
        nested = _nested(content)
        if nested is None:
            raise
        return parse_value(field, nested)


def _nested(content: str) -> Any:
    """Return the data of nested elements; `None` where there are none."""
    try:
        root = ET.fromstring(f"<root>{content}</root>")  # noqa: S314  inside an element no entity can be defined
    except (ET.ParseError, ValueError):  # the latter for what is no text in XML
        return None
    return _data(root) if len(root) else None


def _data(element: ET.Element) -> Any:
    if not len(element):
        return (element.text or "").strip()
    if all(child.tag == "item" for child in element):
        return [_data(child) for child in element]
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(_key(child), []).append(_data(child))
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _key(element: ET.Element) -> str:
    return element.get("key", element.tag) if element.tag == "entry" else element.tag


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
