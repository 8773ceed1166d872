"""A stream of server-sent events, as servers of language models send it. PYTEST_DONT_REWRITE"""

from __future__ import annotations


class EventParser:
    """Takes in the bytes of a stream as they arrive and gives out the data of its events.

    Lines may end in LF or CRLF, a read may end anywhere, even inside a letter; names, ids and
    comments of events are passed over.
    """

    def __init__(self) -> None:
        self._begun = b""

    def feed(self, received: bytes) -> list[bytes]:
        """Return the data of the events that are whole by now."""
        if self._begun:
            received = self._begun + received
        if b"\r" in received:
            received = received.replace(b"\r\n", b"\n")
        *whole, self._begun = received.split(b"\n\n")
        # Nearly all events are one line of data, and a reply has hundreds.
        found = [event[6:] if event[:6] == b"data: " and b"\n" not in event else _data(event) for event in whole]
        return found if all(found) else [data for data in found if data]

    def end(self) -> list[bytes]:
        """Return the data of the last event, after which the server left out the empty line."""
        begun, self._begun = self._begun, b""
        return [data] if (data := _data(begun)) else []


def _data(event: bytes) -> bytes:
    return b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
