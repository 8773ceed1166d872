"""The headers of a reply, read from its connection. PYTEST_DONT_REWRITE

The standard library reads them as those of an email, which takes a tenth of a call.
"""

from __future__ import annotations

import http.client
import io
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

_LONGEST = 1 << 16  # bytes of a line, and headers of a reply: the standard library's limits
_MOST = 100
_END = (b"\r\n", b"\n", b"")
_PLAIN = re.compile(r"([!-9;-~]+):[ \t]*([^\r\n]*?)[ \t]*\r?\n")


def read_headers(source: BinaryIO) -> http.client.HTTPMessage:
    """Read the headers up to the blank line, or to the end of the data.

    Raises:
        http.client.HTTPException: A line is too long, or there are too many.
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
        if plain is None:  # continued on the next line, or damaged
            return http.client.parse_headers(io.BytesIO("".join([*lines, "\r\n"]).encode("latin-1")))
        headers.set_raw(plain[1], plain[2])
    return headers
