"""Images. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import io
import mimetypes
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, Protocol, Self, runtime_checkable
from urllib.parse import urlsplit

import pydantic

from dspex_core.storage.web import is_url
from dspex_core.types.base import Type
from dspex_core.types.media import Media, only_one

if TYPE_CHECKING:
    from os import PathLike

_TIMEOUT = 30.0  # seconds for a download
_SHOWN = 100  # characters; a URL is shown, data is not
_SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}


@runtime_checkable
class PILImage(Protocol):
    """The part of a Pillow image that is used; Pillow need not be installed."""

    format: str | None

    def save(self, fp: IO[bytes], format: str | None = None) -> None:  # noqa: A002  Pillow's name
        """Write the image file."""


class Image(Type):
    """An image, as a data URI or as a URL that the model's provider fetches.

    Args:
        source: A URL (http, https, gs), a data URI, the bytes of an image file, or a PIL image.
        download: Whether to download a `source` that is a URL now, as `from_url` does.
        verify: Whether a download checks the server's certificate.

    Only `from_path` reads a file, and only `from_url` or `download` fetches a URL.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    url: str

    def __init__(
        self,
        source: str | bytes | PILImage | Mapping[str, Any] | None = None,
        /,
        *,
        download: bool | None = None,
        verify: bool | None = None,
        **data: Any,
    ) -> None:
        only_one(type(self), source, data, "url")
        if source is None:  # pydantic makes values from outside like this: they must not cause a download
            data |= {name: value for name, value in (("download", download), ("verify", verify)) if value is not None}
        elif isinstance(source, Mapping):
            data.update(source)
        else:
            url = _address(source)
            wanted = download and is_url(url, "http", "https")
            data["url"] = Media.fetch(url, verify=verify is not False, timeout=_TIMEOUT).uri if wanted else url
        super().__init__(**data)

    @classmethod
    def from_path(cls, file_path: str | PathLike[str]) -> Self:
        """Read an image file; its format comes from its name."""
        return cls(Media.read(file_path).uri)

    from_file = from_path

    @classmethod
    def from_url(
        cls,
        url: str,
        verify: bool = True,  # noqa: FBT001, FBT002  DSPy's signature
        timeout: float | None = _TIMEOUT,
    ) -> Self:
        """Download an image from any address; the caller must restrict addresses."""
        return cls(Media.fetch(url, verify=verify, timeout=timeout).uri)

    @classmethod
    def from_bytes(cls, content: bytes, media_type: str | None = None) -> Self:
        """Make an image of a file's bytes; `media_type` defaults to their detected format.

        Raises:
            ValueError: The format of the bytes is unknown.
        """
        return cls(Media.of(content, media_type or _format_of(content)).uri)

    @classmethod
    def from_PIL(cls, pil_image: PILImage) -> Self:  # noqa: N802  DSPy's name
        """Make an image of a PIL image, encoded in its original format, else as PNG."""
        buffer = io.BytesIO()
        format_ = pil_image.format or "PNG"
        pil_image.save(buffer, format=format_)
        return cls(Media.of(buffer.getvalue(), f"image/{format_.lower()}").uri)

    def format(self) -> list[dict[str, Any]]:
        """Return the image as a part of a message, in OpenAI's form."""
        return [{"type": "image_url", "image_url": {"url": self.url}}]

    def __repr__(self) -> str:
        url = self.url
        return f"Image({url!r})" if len(url) <= _SHOWN else f"Image('{url[:40]}...', {len(url)} characters)"

    __str__ = __repr__

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @pydantic.field_validator("url")
    @classmethod
    def _checked(cls, url: str) -> str:
        url = url.strip()
        if url[:5].lower() == "data:":
            media = Media.from_uri(url)
            if not media.media_type.startswith("image/"):
                raise ValueError(f"a data URI of an image starts with 'data:image/', not 'data:{media.media_type}'")
            return media.uri
        if not is_url(url, "http", "https", "gs"):
            excerpt = repr(url[:100])
            raise ValueError(f"{excerpt} is not a URL (http, https, gs) or a data URI; Image.from_path reads a file")
        return url

    def _stored(self, handler: pydantic.SerializerFunctionWrapHandler) -> Any:
        return self.url

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: pydantic.GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "image"}


def _address(source: str | bytes | PILImage) -> str:
    if isinstance(source, str):
        return source
    if isinstance(source, Image):
        return source.url
    if isinstance(source, bytes):
        return Image.from_bytes(source).url
    if isinstance(source, PILImage):
        return Image.from_PIL(source).url
    message = f"an image must be a URL, a data URI, bytes or a PIL image, not {type(source).__name__}"
    raise ValueError(message)


def encode_image(image: str | bytes | PILImage | Mapping[str, Any]) -> str:
    """Return the URL or data URI of anything that an `Image` accepts.

    Raises:
        ValueError: The value is not an image.
    """
    return Image(image).url


def is_image(obj: object) -> bool:
    """Whether a text is a data URI of an image, or a URL whose path ends like an image file's name."""
    if not isinstance(obj, str):
        return False
    if obj[:5].lower() == "data:":
        return obj[5:11].lower() == "image/"
    guessed = mimetypes.guess_type(urlsplit(obj).path)[0] if is_url(obj, "http", "https", "gs") else None
    return guessed is not None and guessed.startswith("image/")


def _format_of(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    for start, media_type in _SIGNATURES.items():
        if content.startswith(start):
            return media_type
    known = ", ".join([*_SIGNATURES.values(), "image/webp"])
    raise ValueError(f"bytes that start with {content[:8]!r} have an unknown format (known: {known}); give media_type=")
