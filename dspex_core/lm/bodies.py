"""The body of a reply: unpacked if it came packed, and never larger than memory can take. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

LARGEST = 128 << 20  # bytes: more than any completion, image or batch of vectors that fits into a context
_OK = 200
_PIECE = 1 << 20
_AS_IT_IS = ("", "identity")
_EITHER_GZIP_OR_ZLIB = 47
_WITHOUT_A_HEADER = -15
_WINDOWS = {"gzip": _EITHER_GZIP_OR_ZLIB, "x-gzip": _EITHER_GZIP_OR_ZLIB, "deflate": _EITHER_GZIP_OR_ZLIB}


class UnreadableReplyError(Exception):
    """A whole reply that cannot be used: too large, or packed in a way that nobody asked for."""


class Body:
    """Gives the bytes of one reply on, unpacked, and counts them.

    Args:
        status: The status of the reply. The body of an error that cannot be unpacked counts as empty.
        headers: Its headers.
        give: Called with each piece.

    Raises:
        UnreadableReplyError: It is packed in another way than gzip or deflate; `feed` raises it for a
            body that is damaged or too large.
    """

    def __init__(self, status: int, headers: Mapping[str, str], give: Callable[[bytes], object]) -> None:
        self._give = give
        self._left = LARGEST
        self._unpacking: _Unpacking | None = None
        encoding = headers.get("Content-Encoding")
        if encoding and encoding.strip().lower() not in _AS_IT_IS:
            self._prepare(encoding.strip().lower(), status)

    def _prepare(self, encoding: str, status: int) -> None:
        if encoding in _WINDOWS:
            self._unpacking = _Unpacking(_WINDOWS[encoding])
        elif status == _OK:
            message = f"the reply is packed as {encoding[:50]!r}, which was not asked for and cannot be read"
            raise UnreadableReplyError(message)
        else:
            self._give = len

    def feed(self, data: bytes) -> None:
        """Take in some bytes."""
        if self._unpacking is None:
            self._count(data)
            return
        try:
            for piece in self._unpacking.pieces(data):
                self._count(piece)
        except zlib.error as error:
            message = f"the packed reply is damaged: {error}"
            raise UnreadableReplyError(message) from error

    def end(self) -> None:
        """Take note of the end.

        Raises:
            ConnectionError: Some of a packed body is missing.
        """
        if self._unpacking is not None and not self._unpacking.is_whole:
            raise ConnectionError("the packed reply ended in its middle")

    def _count(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            message = f"the reply is larger than {LARGEST >> 20} MiB"
            raise UnreadableReplyError(message)
        self._give(data)


class _Unpacking:
    """Unpacks gzip or deflate, some of it at a time: a few bytes may stand for gigabytes."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._begun = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return self._stream.eof or not self._begun

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what some bytes stand for."""
        while data:
            piece, data = self._next(data)
            yield piece

    def _next(self, data: bytes) -> tuple[bytes, bytes]:
        """Unpack a piece; return it and the bytes that are left."""
        if self._stream.eof:  # another member of a gzip file follows
            self._stream = zlib.decompressobj(self._window)
        try:
            piece = self._stream.decompress(data, _PIECE)
        except zlib.error:
            if self._begun:
                raise
            self._window = _WITHOUT_A_HEADER  # which some servers send as deflate
            self._stream = zlib.decompressobj(self._window)
            piece = self._stream.decompress(data, _PIECE)
        self._begun = True
        return piece, self._stream.unconsumed_tail or self._stream.unused_data
