"""Sounds. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import io
import wave
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import pydantic

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.types.base import Type
from dspex_core.types.media import Media, only_one

if TYPE_CHECKING:
    from os import PathLike

_LOUDEST = 32767  # in 16 bits
_FORMATS = {"mpeg": "mp3", "wave": "wav", "vnd.wave": "wav"}  # media types whose format has another name


class Audio(Type):
    """A sound.

    Args:
        source: A data URI, or the bytes of a sound file (with `audio_format`).
        data: The bytes in base64, instead of a source.
        audio_format: `"wav"`, `"mp3"`, ...

    `from_array` encodes samples. Only `from_path` reads a file, and only `from_url` fetches a URL.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    data: str
    audio_format: str = pydantic.Field(pattern=r"^[a-zA-Z0-9.+-]+$")

    def __init__(self, source: str | bytes | Audio | Mapping[str, Any] | None = None, /, **data: Any) -> None:
        only_one(type(self), source, data, "data")
        if source is not None and "sampling_rate" in data:
            raise TypeError("sampling_rate is for samples: Audio.from_array(samples, sampling_rate)")
        match source:
            case bytes():
                data |= _fields(Media.of(source, f"audio/{data.pop('audio_format', 'wav')}"))
            case str():
                data |= _fields(Media.from_uri(source))
            case Audio():
                data |= {"data": source.data, "audio_format": source.audio_format}
            case Mapping():
                data |= source
            case None:
                pass
            case _:
                message = f"a sound must be a data URI or bytes, not {type(source).__name__}; samples: Audio.from_array"
                raise ValueError(message)
        super().__init__(**data)

    @classmethod
    def from_array(cls, array: Any, sampling_rate: int, format: str = "wav") -> Self:  # noqa: A002  DSPy's name
        """Encode samples as a WAV file of 16 bits: floats from -1 to 1, or integers of 16 bits.

        Args:
            array: A sample, or one for each channel, per row.
            sampling_rate: Samples per second.
            format: `"wav"`.

        Raises:
            ValueError: `format` is not `"wav"`, or the array has more than two dimensions.
        """
        if format != "wav":
            raise ValueError(f"samples can only be encoded as 'wav', not {format!r}; for other formats give the bytes")
        return cls(_wave(array, sampling_rate), audio_format="wav")

    @classmethod
    def from_path(cls, file_path: str | PathLike[str]) -> Self:
        """Read a sound file; its format comes from its name."""
        return cls(Media.read(file_path).uri)

    from_file = from_path

    @classmethod
    def from_url(
        cls,
        url: str,
        verify: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        timeout: float | None = 30.0,
    ) -> Self:
        """Download a sound from any address; the caller must restrict addresses."""
        return cls(Media.fetch(url, verify=verify, timeout=timeout).uri)

    def format(self) -> list[dict[str, Any]]:
        """Return the sound as a part of a message, in OpenAI's form."""
        return [{"type": "input_audio", "input_audio": {"data": self.data, "format": self.audio_format}}]

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


def _wave(array: Any, sampling_rate: int) -> bytes:
    """Write samples as the bytes of a WAV file."""
    with foreign_code():
        import numpy as np  # heavy, and only samples need it

        samples = np.asarray(array)
    if samples.ndim not in (1, 2):
        raise ValueError(f"samples must have one dimension, or a second one for channels, not {samples.ndim}")
    if samples.dtype.kind == "f":
        with foreign_code():
            samples = np.round(np.clip(samples, -1.0, 1.0) * _LOUDEST)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sampling_rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


def _fields(media: Media) -> dict[str, str]:
    kind, _, name = media.media_type.partition("/")
    if kind != "audio":
        raise ValueError(f"a sound must have a media type such as 'audio/wav', not {media.media_type!r}")
    name = name.removeprefix("x-")
    return {"data": media.data, "audio_format": _FORMATS.get(name, name)}
