"""Sounds. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import pydantic

from dspex_core.messages import MediaPart
from dspex_core.types.base import Type
from dspex_core.types.media import Media

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

_FORMATS = {"mpeg": "mp3", "wave": "wav", "vnd.wave": "wav"}  # media types whose format has another name


class Audio(Type):
    """A sound.

    Args:
        source: A data URI, or the bytes of a sound file (with `audio_format`).
        data: The bytes in base64, in place of a source.
        audio_format: `"wav"`, `"mp3"`, ...

    A file is read by `from_path`, a URL downloaded by `from_url`; nothing else reads or fetches.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    data: str
    audio_format: str = pydantic.Field(pattern=r"^[a-zA-Z0-9.+-]+$")

    def __init__(self, source: str | bytes | None = None, /, **data: Any) -> None:
        if isinstance(source, bytes):
            media_type = f"audio/{data.pop('audio_format', 'wav')}"
            data |= _fields(Media.of(source, media_type))
        elif source is not None:
            data |= _fields(Media.from_uri(source))
        super().__init__(**data)

    @classmethod
    def from_path(cls, path: str | PathLike[str]) -> Self:
        """Read a sound file; its name tells its format."""
        return cls(Media.read(path).uri)

    from_file = from_path

    @classmethod
    def from_url(
        cls,
        url: str,
        verify: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        timeout: float | None = 30.0,
    ) -> Self:
        """Download a sound. Any address is taken: to allow only some is the caller's part."""
        return cls(Media.fetch(url, verify=verify, timeout=timeout).uri)

    def format(self) -> Sequence[MediaPart]:
        """Return the sound as a part of a message."""
        return (MediaPart("input_audio", {"data": self.data, "format": self.audio_format}),)

    def __repr__(self) -> str:
        return f"Audio(<{len(self.data)} characters>, audio_format={self.audio_format!r})"

    __str__ = __repr__

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return _fields(Media.from_uri(value.strip())) if isinstance(value, str) else value

    @pydantic.field_validator("data")
    @classmethod
    def _checked(cls, data: str) -> str:
        return Media.from_uri(f"data:audio/wav;base64,{data}").data

    def _stored(self, handler: pydantic.SerializerFunctionWrapHandler) -> Any:
        return Media(f"audio/{self.audio_format}", self.data).uri

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: pydantic.GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "audio"}


def _fields(media: Media) -> dict[str, str]:
    kind, _, name = media.media_type.partition("/")
    if kind != "audio":
        raise ValueError(f"a sound has a media type such as 'audio/wav', not {media.media_type!r}")
    name = name.removeprefix("x-")
    return {"data": media.data, "audio_format": _FORMATS.get(name, name)}
