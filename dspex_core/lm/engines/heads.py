"""The headers of a reply, read from its connection, and where they say that it ends. PYTEST_DONT_REWRITE

The standard library reads them as those of an email, which takes a tenth of a call. And it passes over all lines after
the first that is not a header: a length among them would be lost, and the call would wait for bytes that never come.
"""

from __future__ import annotations

import http.client
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_LONGEST = 1 << 16  # bytes of a line, and headers of a reply: the standard library's limits
_MOST = 100
_END = (b"\r\n", b"\n", b"")
_SPACES = (" ", "\t")
_LENGTH = re.compile(r"[0-9]{1,18}")
_PLAIN = re.compile(r"([!-9;-~]+):[ \t]*([^\r\n]*?)[ \t]*\r?\n")


def read_headers(source: BinaryIO) -> http.client.HTTPMessage:
    """Read the headers up to the blank line, or to the end of the data.

    Raises:
        http.client.HTTPException: A line is too long or not a header, or there are too many.
    """
    lines: list[str] = []
    while (line := source.readline(_LONGEST + 1)) not in _END:
        if len(line) > _LONGEST:
            raise http.client.LineTooLong("header line")
        lines.append(line.decode("latin-1"))
        if len(lines) >= _MOST:
            raise http.client.HTTPException(f"got more than {_MOST} headers")
    headers = http.client.HTTPMessage()
    for text in lines:
        plain = _PLAIN.fullmatch(text)
        if plain is None:
            return _odd_headers(lines)
        headers.set_raw(plain[1], plain[2])
    return headers


def _odd_headers(lines: list[str]) -> http.client.HTTPMessage:
    """Return headers of which some are continued on the next line, or have a space after their name."""
    found: list[tuple[str, str]] = []
    for text in lines:
        line = text.removesuffix("\n").removesuffix("\r")
        name, colon, value = line.partition(":")
        if found and line[:1] in _SPACES:
            name, value = found[-1][0], f"{found.pop()[1]} {line}"
        elif not colon or not name.strip() or line[:1] in _SPACES:
            raise http.client.HTTPException("a line of the reply's head is not a header")
        if "\r" in line:
            raise http.client.HTTPException("a line break stands within a header")
        found.append((name.rstrip(), value.strip()))
    headers = http.client.HTTPMessage()
    for name, value in found:
        headers.set_raw(name, value)
    return headers


def is_chunked(headers: http.client.HTTPMessage) -> bool:
    """Return whether the body comes in chunks.

    Raises:
        http.client.HTTPException: It is coded in another way, which was not requested.
    """
    given = headers.get_all("transfer-encoding")
    if given is None:
        return False
    codings = {coding.strip().lower() for value in given for coding in value.split(",")} - {"", "identity"}
    if not codings <= {"chunked"}:
        raise http.client.HTTPException("the reply has a transfer encoding that was not requested")
    return bool(codings)


def length_of(headers: http.client.HTTPMessage) -> int | None:
    """Return how many bytes the body has; `None` if it ends with the connection.

    Raises:
        http.client.HTTPException: Its length is not one number.
    """
    given = headers.get_all("content-length")
    if given is None:
        return None
    lengths = {length.strip() for value in given for length in value.split(",")}
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise http.client.HTTPException("the reply's Content-Length is not one number")
    return int(length)
