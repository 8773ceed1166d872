"""Turns a server's reply, whole or as a stream of events, into a response or a typed error. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dspex_core.errors import LMError, LMResponseError, LMTransportError
from dspex_core.lm.engines.events import EventParser
from dspex_core.lm.engines.refusals import error_in_reply, refusal
from dspex_core.lm.engines.wire import MISREAD, DeclinedError, RefusedError
from dspex_core.lm.streaming import Emitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dspex_core.lm.engines.transport import HTTPReply
    from dspex_core.lm.engines.wire import WireFormat
    from dspex_core.lm.providers import Endpoint
    from dspex_core.messages import LMChunk, LMResponse

_OK = 200
_DONE = b"[DONE]"
_EXCERPT = 500
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
_UNUSABLE = (RefusedError, DeclinedError, *MISREAD)
_LINES_OF_EVENTS = (b"data:", b"event:", b"id:", b"retry:", b":")
# `json.loads` takes twice as long as its scanner, and a stream has hundreds of events.
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # typeshed lacks it


def read_reply(endpoint: Endpoint, reply: HTTPReply, reading: Callable[[Any], LMResponse], wanted: str) -> LMResponse:
    """Read a reply that is one JSON value.

    Raises:
        LMError: The call failed, or the reply has another format.
    """
    body = _checked_body(endpoint, reply)
    try:
        return reading(json.loads(body))
    except _UNUSABLE as error:
        raise _error_of(error, endpoint, body, wanted, headers=reply.headers) from error


def read_completion(endpoint: Endpoint, wire: WireFormat, reply: HTTPReply) -> LMResponse:
    """Read a whole completion, also if it is sent as events that were not requested.

    Raises:
        LMError: The call failed, or the reply is not a completion.
    """
    body = _checked_body(endpoint, reply)
    if body.startswith(_LINES_OF_EVENTS):
        stream = Stream(endpoint, wire, _ignore)
        stream.feed(body)
        return stream.response(reply.headers)
    return read_reply(endpoint, reply, wire.response, wire.EXPECTED)


def _checked_body(endpoint: Endpoint, reply: HTTPReply) -> bytes:
    if reply.status != _OK:  # it may repeat a refused key, so no variable of this frame holds it
        raise refusal(endpoint, reply.status, reply.headers, (reply.body or b"").lstrip(_BEFORE_JSON))
    body = (reply.body or b"").lstrip(_BEFORE_JSON)
    if not body:
        raise _lost(endpoint, f"the reply from {_place(endpoint)} is empty")
    return body


def _ignore(chunk: LMChunk) -> None:
    """Ignore a piece of an unrequested stream."""


class Stream:
    """Reads one reply event by event, and emits its pieces."""

    def __init__(self, endpoint: Endpoint, wire: WireFormat, on_chunk: Callable[[LMChunk], None]) -> None:
        self._endpoint = endpoint
        self._wire = wire
        self._wanted = f"{wire.EXPECTED} in pieces"
        self._events = EventParser()
        self._on_chunk = on_chunk
        self._pieces = wire.in_pieces(on_chunk)
        self._start: bytes | None = b""  # the whole reply, while it does not look like events
        self._has_ended = False

    def connected(self, cancel: Callable[[], None]) -> None:
        """Pass on the function that cancels the wait for more."""
        if isinstance(self._on_chunk, Emitter):
            self._on_chunk.connected(cancel)

    def feed(self, data: bytes) -> None:
        """Read the events that are complete so far.

        Raises:
            LMError: An event reports a failure, or cannot be read.
        """
        if self._start is not None:
            data = self._after_start(data)
        self._read(self._events.feed(data))

    def response(self, headers: Mapping[str, str]) -> LMResponse:
        """Return the response after the end of the stream.

        Raises:
            LMError: The reply is incomplete, or as in `feed`.
        """
        body = (self._start or b"").lstrip(_BEFORE_JSON)
        self._read(self._events.end())
        try:
            response = self._json_response(body) if body else self._pieces.whole()
        except _UNUSABLE as error:
            raise _error_of(error, self._endpoint, body, self._wanted, headers=headers) from error
        if response is None:
            raise _lost(self._endpoint, f"the stream from {_place(self._endpoint)} ended before the reply did")
        return response

    def _after_start(self, data: bytes) -> bytes:
        """Hold back a reply that may be JSON, which some servers send with the content type of events."""
        data = (self._start or b"") + data
        begin = data.lstrip(_BEFORE_JSON)[:1]
        if begin in (b"", b"{", b"["):
            self._start = data
            return b""
        self._start = None
        return data

    def _json_response(self, body: bytes) -> LMResponse | None:
        """Read a reply that is one JSON value, or one for each piece."""
        values = list(_values(body.decode()))
        if len(values) == 1:
            return self._wire.response(values[0])
        for value in values:
            self._pieces.read(value)
        self._pieces.end()
        return self._pieces.whole()

    def _read(self, events: list[bytes]) -> None:
        pieces = self._pieces
        for data in events:
            if self._has_ended:
                return  # the model's reply is whole: what follows the mark of its end is not part of it
            if data == _DONE:
                self._has_ended = True
                pieces.end()
                continue
            try:
                text = data.decode()
                event, end = _scan(text, 0)
                if end == len(text):
                    pieces.read(event)
                    continue
            except StopIteration:
                pass  # not JSON
            except _UNUSABLE as error:
                raise _error_of(error, self._endpoint, data, self._wanted, headers={}) from error
            self._read_lines(data)

    def _read_lines(self, data: bytes) -> None:
        """Read data that is not one JSON value: several values, a mark after them, or comments between."""
        lines = [line.strip() for line in data.splitlines() if not line.startswith(b":")]
        try:
            for value in _values(b"\n".join(line for line in lines if line != _DONE).decode()):
                self._pieces.read(value)
            if _DONE in lines:
                self._pieces.end()
        except _UNUSABLE as error:
            raise _error_of(error, self._endpoint, data, self._wanted, headers={}) from error


def _values(text: str) -> Iterator[Any]:
    """Yield the consecutive JSON values of a text, which a comment may end."""
    place = len(text) - len(text.lstrip())
    while place < len(text) and text[place] != ":":
        try:
            value, place = _scan(text, place)
        except StopIteration as error:
            raise ValueError(f"no JSON value at {place}") from error
        yield value
        place += len(text[place:]) - len(text[place:].lstrip())


def _error_of(error: Exception, endpoint: Endpoint, body: bytes, wanted: str, *, headers: Mapping[str, str]) -> LMError:
    """Return the `LMError` for an error of reading a body."""
    if isinstance(error, RefusedError | DeclinedError):
        return error_in_reply(endpoint, error, headers)
    excerpt = endpoint.without_credentials(body[:_EXCERPT].decode(errors="replace"))
    message = f"{_place(endpoint)} did not reply with {wanted}; check the address; it began: {excerpt!r}"
    return LMResponseError(message, model=endpoint.model, provider=endpoint.provider, status=_OK)


def _lost(endpoint: Endpoint, message: str) -> LMError:
    return LMTransportError(message, model=endpoint.model, provider=endpoint.provider)


def _place(endpoint: Endpoint) -> str:
    return endpoint.place
