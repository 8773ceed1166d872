"""The direct engine: the OpenAI wire formats over pooled HTTP, without LiteLLM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import LMError, LMNotConfiguredError, LMResponseError, LMTimeoutError, LMTransportError
from dspex_core.lm.addresses import AddressError, address_of, headers_of
from dspex_core.lm.bodies import UnreadableReplyError
from dspex_core.lm.connections import StaleConnectionError
from dspex_core.lm.events import EventParser
from dspex_core.lm.refusals import refusal
from dspex_core.lm.streaming import Teller
from dspex_core.lm.transport import HTTPClient, HTTPReply
from dspex_core.lm.vectors import to_vectors
from dspex_core.lm.wire import RefusedError, wire_format
from dspex_core.plain.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.lm.providers import Endpoint
    from dspex_core.lm.wire import WireFormat
    from dspex_core.messages import Json, LMChunk, LMRequest, LMResponse

_OK = 200
_DONE = b"[DONE]"
_EXCERPT = 500
_LOCAL_LIMIT = 1000  # tokens: a small model that repeats itself would go on until the time limit, and again
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # replies are short: unpacking costs more than it saves
    "User-Agent": "pytest-dspex",
}
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# What `json.loads` does around the scanner takes as long again, and a stream has hundreds of events.
_scan = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # typeshed lacks it
_MISREAD = (KeyError, TypeError, AttributeError, ValueError, RecursionError, StopIteration)  # the last is the scanner's
# OpenAI's reasoning models refuse `max_tokens` and take the same limit under its newer name.
_REASONING_MODEL = re.compile(r"o\d|gpt-5")


class DirectEngine:
    """Makes calls to one endpoint. Threads and event loops may share it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._wire = wire_format(endpoint.model_type)
        self._renames_limit = endpoint.provider == "openai" and bool(_REASONING_MODEL.match(endpoint.name))
        self._completions = self._client(self._wire.PATH)
        self._embeddings = self._client("embeddings")

    def _client(self, path: str) -> HTTPClient:
        """Return what posts to a path below the endpoint's address."""
        endpoint = self._endpoint
        try:
            address = address_of(endpoint.base_url or "", path, endpoint.query)
            key = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
            login = {"Authorization": address.authorization} if address.authorization else {}
            return HTTPClient(address, headers=headers_of(_HEADERS, login, key, endpoint.headers))
        except AddressError as error:
            raise LMNotConfiguredError(str(error), model=endpoint.model, provider=endpoint.provider) from error

    def complete(self, request: LMRequest, *, timeout: float) -> LMResponse:
        """Make one try of a call, which may take `timeout` seconds in total.

        Raises:
            LMError: It failed; `is_retryable` says whether another try may do better.
        """
        stream = self._stream(request)
        return self._response(self._post(self._completions, self._body(request), timeout, stream), stream)

    async def acomplete(self, request: LMRequest, *, timeout: float) -> LMResponse:  # noqa: ASYNC109  aiohttp keeps it
        """`complete` without blocking the event loop."""
        stream = self._stream(request)
        return self._response(await self._apost(self._completions, self._body(request), timeout, stream), stream)

    def embed(self, texts: Sequence[str], config: Mapping[str, Any], *, timeout: float) -> LMResponse:
        """Make one try of turning texts into vectors: each output is one, as text (see `vectors`).

        Raises:
            LMError: As `complete` does.
        """
        return self._vectors(self._post(self._embeddings, self._texts_body(texts, config), timeout), len(texts))

    async def aembed(
        self,
        texts: Sequence[str],
        config: Mapping[str, Any],
        *,
        timeout: float,  # noqa: ASYNC109  as in acomplete
    ) -> LMResponse:
        """`embed` without blocking the event loop."""
        body = self._texts_body(texts, config)
        return self._vectors(await self._apost(self._embeddings, body, timeout), len(texts))

    def _post(self, http: HTTPClient, body: bytes, timeout: float, stream: _Stream | None = None) -> HTTPReply:
        try:
            return http.post(body, timeout=timeout, reader=stream)
        except (OSError, UnreadableReplyError) as error:
            raise self._no_reply(error, timeout) from error

    async def _apost(
        self,
        http: HTTPClient,
        body: bytes,
        timeout: float,  # noqa: ASYNC109  as in acomplete
        stream: _Stream | None = None,
    ) -> HTTPReply:
        try:
            return await http.apost(body, timeout=timeout, reader=stream)
        except (OSError, UnreadableReplyError) as error:
            raise self._no_reply(error, timeout) from error

    def _texts_body(self, texts: Sequence[str], config: Mapping[str, Any]) -> bytes:
        payload = {"model": self._endpoint.name, "input": list(texts), **config}
        return _encode(payload).encode(errors="replace")

    def _body(self, request: LMRequest) -> bytes:
        endpoint = self._endpoint
        payload: Json = {
            "model": endpoint.name,
            **self._wire.body(request, supports_schema=endpoint.supports_schema),
        }
        if self._renames_limit and "max_tokens" in payload:
            payload["max_completion_tokens"] = payload.pop("max_tokens")
        if endpoint.provider == "local":
            is_response = endpoint.model_type == "responses"
            payload.setdefault("max_output_tokens" if is_response else "max_tokens", _LOCAL_LIMIT)
            if is_response and request.response_schema is not None:
                # llama.cpp looks for the schema of a response where a chat has it.
                payload["response_format"] = {"type": "json_schema", "json_schema": request.response_schema.to_json()}
        if request.on_chunk is not None:
            payload["stream"] = True
            if endpoint.takes_stream_options:
                payload.setdefault("stream_options", {"include_usage": True})
        return _encode(payload).encode(errors="replace")  # half a surrogate pair has no UTF-8

    def _stream(self, request: LMRequest) -> _Stream | None:
        return None if request.on_chunk is None else _Stream(self._endpoint, self._wire, request.on_chunk)

    def _response(self, reply: HTTPReply, stream: _Stream | None) -> LMResponse:
        if stream is not None and reply.body is None:
            return stream.response()
        return self._read(reply, self._wire.response, self._wire.EXPECTED)

    def _vectors(self, reply: HTTPReply, n: int) -> LMResponse:
        return self._read(reply, partial(to_vectors, n=n), f"{n} embeddings")

    def _read(self, reply: HTTPReply, reading: Callable[[Json], LMResponse], wanted: str) -> LMResponse:
        body = reply.body or b""
        if reply.status != _OK:
            raise refusal(self._endpoint, reply.status, reply.headers, body)
        try:
            data = json.loads(body)
            if data.get("error") and "choices" not in data and "data" not in data:
                raise refusal(self._endpoint, reply.status, reply.headers, body)
            return reading(data)
        except _MISREAD as error:
            raise _not_understood(self._endpoint, body, wanted) from error

    def _no_reply(self, error: OSError | UnreadableReplyError, timeout: float) -> LMError:
        endpoint, place = self._endpoint, masked(self._endpoint.base_url or "")
        if isinstance(error, UnreadableReplyError):
            return LMResponseError(f"{place}: {error}", model=endpoint.model, provider=endpoint.provider)
        if isinstance(error, TimeoutError):
            message = f"no whole reply from {place} within {timeout:g} seconds"
            return LMTimeoutError(message, model=endpoint.model, provider=endpoint.provider)
        return LMTransportError(
            f"no whole reply from {place}: {masked(str(error))}",
            model=endpoint.model,
            provider=endpoint.provider,
            # Servers close connections that were idle for a while: the next try need not wait.
            retry_after=0.0 if isinstance(error, StaleConnectionError) else None,
        )


class _Stream:
    """Reads one reply event by event, and tells its pieces."""

    def __init__(self, endpoint: Endpoint, wire: WireFormat, on_chunk: Callable[[LMChunk], None]) -> None:
        self._endpoint = endpoint
        self._wanted = f"{wire.EXPECTED} in pieces"
        self._events = EventParser()
        self._on_chunk = on_chunk
        self._pieces = wire.in_pieces(on_chunk)

    def connected(self, hang_up: Callable[[], None]) -> None:
        """Let whoever listens end the wait for more."""
        if isinstance(self._on_chunk, Teller):
            self._on_chunk.connected(hang_up)

    def feed(self, data: bytes) -> None:
        """Read the events that are whole by now.

        Raises:
            LMError: One of them says that the call failed, or cannot be read.
        """
        self._read(self._events.feed(data))

    def response(self) -> LMResponse:
        """Return the response, once all is read.

        Raises:
            LMError: The reply is not whole, or as in `feed`.
        """
        self._read(self._events.end())
        try:
            response = self._pieces.whole()
        except ValueError as error:
            raise _not_understood(self._endpoint, b"", self._wanted) from error
        if response is None:
            endpoint = self._endpoint
            message = f"the stream from {masked(endpoint.base_url or '')} ended before the reply did"
            raise LMTransportError(message, model=endpoint.model, provider=endpoint.provider)
        return response

    def _read(self, events: list[bytes]) -> None:
        pieces = self._pieces
        for data in events:
            if data == _DONE:
                pieces.end()
                continue
            try:
                text = data.decode()
                event, end = _scan(text, 0)
                if end != len(text):
                    raise ValueError(text)
                pieces.read(event)
            except RefusedError as error:
                raise refusal(self._endpoint, _OK, {}, _encode(error.said).encode()) from error
            except _MISREAD as error:
                raise _not_understood(self._endpoint, data, self._wanted) from error


def _not_understood(endpoint: Endpoint, body: bytes, wanted: str) -> LMError:
    excerpt = masked(body[:_EXCERPT].decode(errors="replace"))
    message = f"{masked(endpoint.base_url or '')} did not reply with {wanted}; check the address; it began: {excerpt!r}"
    return LMResponseError(message, model=endpoint.model, provider=endpoint.provider, status=_OK)
