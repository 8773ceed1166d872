"""The text, the reasoning and the refusal in a reply's message, in any provider's form. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dspex_core.messages import canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dspex_core.messages import Json

# A message has its reasoning in one of these; gateways repeat it in a second one.
_REASONING = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "thinking_blocks",
    "reasoning_details",
    "reasoning_text",
    "thought",
)
_THOUGHTS = frozenset({"thinking", "reasoning", "reasoning_text", "reasoning_content", "summary_text", "thought"})
_PLAIN_TEXT = ("text", "thinking", "summary", "value", "content", "reasoning")  # where a part may have its text


class Said(NamedTuple):
    """The content of a message or of a part."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""


def read_message(message: Json) -> Said:
    """Return the content of a message or of a piece of one."""
    said = read_content(message.get("content"))
    reasoning, refusal = said.reasoning, said.refusal
    if not (reasoning or message.keys().isdisjoint(_REASONING)):
        reasoning = next((text for name in _REASONING if (text := _plain(message.get(name)))), "")
    if not refusal and "refusal" in message:
        refusal = _plain(message["refusal"])
    return Said(said.text, reasoning, refusal)


def read_content(content: Any) -> Said:
    """Read content that may be a text, a list of parts, one part, or data (which becomes JSON text)."""
    if isinstance(content, str):
        return Said(content)
    if content is None:
        return Said()
    if isinstance(content, list):
        return _joined(map(_part, content))
    if isinstance(content, dict) and (isinstance(content.get("type"), str) or content.keys() == {"text"}):
        return _part(content)
    if isinstance(content, dict) and isinstance(content.get("parts"), list) and content.keys() <= {"parts", "role"}:
        return _joined(map(_part, content["parts"]))  # Gemini's form
    return Said(canonical_json(content))


def _joined(parts: Iterable[Said]) -> Said:
    texts, thoughts, refusals = [], [], []
    for part in parts:
        texts.append(part.text)
        thoughts.append(part.reasoning)
        refusals.append(part.refusal)
    return Said("".join(texts), "".join(thoughts), "".join(refusals))


def _part(part: Any) -> Said:
    """Read a part, or the parts in a list of a list; an unknown kind without a text is empty."""
    if isinstance(part, str):
        return Said(part)
    if isinstance(part, list):
        return _joined(map(_part, part))
    if not isinstance(part, dict):
        return Said()
    kind = part.get("type")
    if kind == "refusal":
        return Said(refusal=_plain(part.get("refusal") or part.get("text")))
    if "thinking" in part or part.get("thought") is True or (isinstance(kind, str) and kind in _THOUGHTS):
        return Said(reasoning=_plain(part))
    text = part.get("text")
    return Said(_plain(part.get("content") if text is None and kind == "text" else text))


def _plain(value: Any) -> str:
    """Return the text of a value, or of the parts in it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_plain, value))
    if isinstance(value, dict):
        return next((text for name in _PLAIN_TEXT if (text := _plain(value.get(name)))), "")
    return ""
