"""A stream of server-sent events, as servers of language models send it. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json

_BOM = b"\xef\xbb\xbf"
_ENDS_STREAM = b"[DONE]"


class EventParser:
    """Parses the bytes of a stream as they arrive and returns the data of its events.

    Lines may end in LF, CR or CRLF, a read may end anywhere, even inside a letter; ids and comments are skipped. The
    data of an event that is named `error` is returned as `{"error": data}`.
    """

    def __init__(self) -> None:
        self._begun = b""
        self._start: bytes | None = b""  # a possible beginning of a byte order mark; `None` once that is decided
        self._after_cr = False
        self._is_plain = False  # whether further bytes without a CR need no conversion

    def feed(self, received: bytes) -> list[bytes]:
        """Return the data of the events that are complete so far."""
        if not self._is_plain or b"\r" in received:
            received = self._as_plain(received)
        if self._begun:
            received = self._begun + received
        *whole, self._begun = received.split(b"\n\n")
        # Nearly all events are one line of data, and a reply has hundreds.
        found = [event[6:] if event[:6] == b"data: " and b"\n" not in event else _data(event) for event in whole]
        return found if all(found) else [data for data in found if data]

    def end(self) -> list[bytes]:
        """Return the data of a last event without the final empty line."""
        begun, self._begun = self._begun, b""
        return [data] if (data := _data(begun)) else []

    def _as_plain(self, received: bytes) -> bytes:
        """Return bytes with LF at the end of each line, and without a byte order mark."""
        if self._start is not None:
            received = self._start + received
            if len(received) < len(_BOM) and _BOM.startswith(received):
                self._start = received
                return b""
            self._start = None
            received = received.removeprefix(_BOM)
        if not received:
            return b""
        if self._after_cr:  # a read ended between CR and LF
            received = received.removeprefix(b"\n")
        self._after_cr = received.endswith(b"\r") or (self._after_cr and not received)
        self._is_plain = not self._after_cr
        return received.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _data(event: bytes) -> bytes:
    lines = event.splitlines()
    data = b"\n".join(line[5:].strip() for line in lines if line.startswith(b"data:"))
    if data and data != _ENDS_STREAM and any(line[:6] == b"event:" and line[6:].strip() == b"error" for line in lines):
        return _as_error(data)
    return data


def _as_error(data: bytes) -> bytes:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        data = json.dumps(data.decode(errors="replace")).encode()
    return b'{"error":%s}' % data
