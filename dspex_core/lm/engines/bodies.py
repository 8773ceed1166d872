"""The body of a reply, decompressed and limited in size. PYTEST_DONT_REWRITE"""

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
    """A reply that cannot be used: too large, or with an encoding that was not requested."""


class Body:
    """Decompresses and counts the bytes of one reply.

    Args:
        status: The status of the reply. The body of an error that cannot be unpacked counts as empty.
        headers: Its headers.
        give: Receives each piece.

    Raises:
        UnreadableReplyError: The encoding is not gzip or deflate; `feed` raises it for a body that is damaged or too
            large.
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
            message = f"the reply has the encoding {encoding[:50]!r}, which was not requested and cannot be read"
            raise UnreadableReplyError(message)
        else:
            self._give = len

    def feed(self, data: bytes) -> None:
        """Process some bytes."""
        if self._unpacking is None:
            self._count(data)
            return
        try:
            for piece in self._unpacking.pieces(data):
                self._count(piece)
        except zlib.error as error:
            message = f"the compressed reply is damaged: {error}"
            raise UnreadableReplyError(message) from error

    def end(self) -> None:
        """Process the end of the body.

        Raises:
            ConnectionError: Some of a compressed body is missing.
        """
        if self._unpacking is not None and not self._unpacking.is_whole:
            raise ConnectionError("the compressed reply is incomplete")

    def _count(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            message = f"the reply is larger than {LARGEST >> 20} MiB"
            raise UnreadableReplyError(message)
        self._give(data)


class _Unpacking:
    """Decompresses gzip or deflate in steps: a few bytes may expand to gigabytes."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._stream = zlib.decompressobj(window)
        self._begun = False

    @property
    def is_whole(self) -> bool:
        """Whether the body is complete."""
        return self._stream.eof or not self._begun

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed form of some bytes."""
        while data:
            piece, data = self._next(data)
            yield piece

    def _next(self, data: bytes) -> tuple[bytes, bytes]:
        """Decompress a piece; return it and the remaining bytes."""
        if self._stream.eof:  # another member of a gzip file follows
            self._stream = zlib.decompressobj(self._window)
        try:
            piece = self._stream.decompress(data, _PIECE)
        except zlib.error:
            if self._begun:
                raise
            self._window = _WITHOUT_A_HEADER  # some servers send raw deflate
            self._stream = zlib.decompressobj(self._window)
            piece = self._stream.decompress(data, _PIECE)
        self._begun = True
        return piece, self._stream.unconsumed_tail or self._stream.unused_data
