"""Bytes as data URIs, from files and downloads. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from dspex_core.storage.web import fetch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

_DATA_URI = re.compile(r"data:([a-z0-9.+-]+/[a-z0-9.+-]+)((?:;[a-z0-9-]+=[^;,\s]*)*);base64,", re.IGNORECASE)


class MissingFileError(FileNotFoundError, ValueError):
    """A missing file; also a `ValueError`, like errors about unusable data."""


@dataclass(frozen=True, slots=True)
class Media:
    """Bytes in base64 with their media type."""

    media_type: str
    data: str

    @property
    def uri(self) -> str:
        """The data URI."""
        return f"data:{self.media_type};base64,{self.data}"

    @classmethod
    def of(cls, content: bytes, media_type: str) -> Self:
        """Encode bytes."""
        return cls(media_type.lower(), base64.b64encode(content).decode())

    @classmethod
    def from_uri(cls, uri: str) -> Self:
        """Read a data URI.

        Raises:
            ValueError: `uri` is not a data URI, or its data is not base64.
        """
        head = _DATA_URI.match(uri)
        if head is None:
            raise ValueError(f"{_excerpt(uri)} is not a data URI such as 'data:image/png;base64,...'")
        data = uri[head.end() :]
        try:
            base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"the data of {_excerpt(uri)} is not base64: {error}") from error
        return cls(head[1].lower(), data)

    @classmethod
    def read(cls, path: str | PathLike[str], media_type: str | None = None) -> Self:
        """Read a file; the media type defaults to the one in its name.

        Raises:
            OSError: The file cannot be read; if it is missing, this is also a ValueError.
            ValueError: The name has no known media type.
        """
        try:
            content = Path(path).read_bytes()
        except FileNotFoundError:
            raise MissingFileError(f"there is no file {str(path)!r}") from None
        return cls.of(content, media_type or _guessed(str(path)))

    @classmethod
    def fetch(cls, url: str, *, verify: bool, timeout: float | None) -> Self:
        """Download a URL, from any address; the caller must restrict addresses.

        Raises:
            ValueError: The URL is not http or https, or the server does not have it.
            OSError: No reply arrived.
        """
        reply = fetch(url, verify=verify, timeout=timeout)
        media_type = reply.content_type
        return cls.of(reply.data, media_type or _guessed(urlsplit(url).path))


def only_one(kind: type, source: object, given: Mapping[str, Any], *names: str) -> None:
    """Check that a value has only one source.

    Raises:
        TypeError: One source is given by position and another by name.
    """
    twice = [name for name in names if name in given]
    if source is not None and twice:
        raise TypeError(f"{kind.__name__} is made of one source: give it by position or as {twice[0]}=, not both")


def _guessed(name: str) -> str:
    media_type = mimetypes.guess_type(name)[0]
    if media_type is None:
        raise ValueError(f"the name {name!r} has no known media type; rename the file, or read it and use from_bytes")
    return media_type


def _excerpt(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}...")  # noqa: PLR2004  enough to recognise it
