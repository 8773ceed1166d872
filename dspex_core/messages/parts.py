"""What a message holds: text, images, sounds, files. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors.shown import value_text
from dspex_core.messages.canonical import Json, canonical_json, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_MEDIA = ("image_url", "input_audio", "file")
_PAIR = 2  # members: the type, and what is of that type
_READABLE = 100  # characters of a medium's address that are shown; a data URI may have millions


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text between media."""

    text: str

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        return {"type": "text", "text": self.text}


@dataclass(frozen=True, slots=True)
class MediaPart:
    """An image, a sound or a file in a message.

    Args:
        kind: `"image_url"`, `"input_audio"` or `"file"`.
        value: What OpenAI's form of a part of that kind holds: `{"url": ...}`, `{"data": ..., "format": ...}`,
            `{"file_data": ..., "filename": ...}`.
    """

    kind: str
    value: Mapping[str, Any]

    @property
    def text(self) -> str:
        """A short text that stands for the part, for people; a long value is shown as its hash."""
        shown = canonical_json(dict(self.value))
        if len(shown) > _READABLE:
            shown = f"{shown[:_READABLE]}... {digest_of(shown)[:12]}"
        return f"[{self.kind} {shown}]"

    def to_json(self) -> Json:
        """Return the OpenAI form, which is also the stored form."""
        return {"type": self.kind, self.kind: dict(self.value)}


@dataclass(frozen=True, slots=True)
class GivenPart:
    """A part that is passed on as it was given: of a kind, or with members, that only the provider knows."""

    form: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """Its type."""
        return str(self.form["type"])

    @property
    def text(self) -> str:
        """Its text, if it is one; else a short text that stands for it, for people."""
        text = self.form.get("text")
        return text if isinstance(text, str) else MediaPart(self.kind, self.form).text

    def to_json(self) -> Json:
        """Return the form."""
        return dict(self.form)


Part = TextPart | MediaPart | GivenPart


def part_from_json(stored: Any) -> Part:
    """Rebuild a part from its OpenAI form.

    Raises:
        ValueError: It is none of the parts that a message can have.
    """
    match stored:
        case {"type": "text", "text": str(text)}:
            return TextPart(text) if len(stored) == _PAIR else GivenPart(stored)
        case {"type": str(kind)} if kind in _MEDIA and isinstance(stored.get(kind), dict):
            return MediaPart(kind, stored[kind]) if len(stored) == _PAIR else GivenPart(stored)
        case {"type": str(kind)} if kind not in ("text", *_MEDIA) or kind in stored:
            return GivenPart(stored)
    kinds = ", ".join(f'{{"type": {kind!r}, {kind!r}: {{...}}}}' for kind in _MEDIA)
    raise ValueError(
        f'a part of a message is {{"type": "text", "text": "..."}}, {kinds}, not {value_text(stored, 200)}'
    )
