"""The direct engine: the OpenAI wire formats over pooled HTTP, without LiteLLM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import (
    ConfigurationError,
    LMError,
    LMNotConfiguredError,
    LMResponseError,
    LMTimeoutError,
    LMTransportError,
)
from dspex_core.lm.addresses import AddressError, address_of, headers_of
from dspex_core.lm.engines.bodies import UnreadableReplyError
from dspex_core.lm.engines.connections import StaleConnectionError
from dspex_core.lm.engines.replies import Stream, read_completion, read_reply
from dspex_core.lm.engines.transport import HTTPClient, HTTPReply
from dspex_core.lm.engines.vectors import to_vectors
from dspex_core.lm.engines.wire import wire_format
from dspex_core.messages.canonical import unwritable
from dspex_core.plain.secrets import SecretBytes, SecretMapping, without_frames

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dspex_core.lm.providers import Endpoint
    from dspex_core.messages import Json, LMRequest, LMResponse

_LOCAL_LIMIT = 1000  # tokens: a small model that repeats itself would go on until the time limit, and again
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",  # replies are short: unpacking costs more than it saves
    "User-Agent": "pytest-dspex",
}
_FOR_LITELLM = frozenset(("drop_params", "allowed_openai_params", "additional_drop_params"))  # omitted defaults
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _encode(payload: Any) -> str:
    try:
        return _json(payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise unwritable(error) from error


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
        """Return the client for a path below the endpoint's address."""
        endpoint = self._endpoint
        try:
            address = address_of(endpoint.base_url or "", path, endpoint.query)
            credentials = SecretMapping()
            if endpoint.api_key:
                credentials["Authorization"] = f"Bearer {endpoint.api_key}"
            elif address.authorization:
                credentials["Authorization"] = address.authorization
            return HTTPClient(address, headers=headers_of(_HEADERS, credentials, endpoint.headers))
        except AddressError as error:
            raise LMNotConfiguredError(
                str(error), model=endpoint.model, provider=endpoint.provider
            ) from without_frames(error)

    def complete(self, request: LMRequest, *, timeout: float) -> LMResponse:
        """Make one try of a call, which may take `timeout` seconds in total.

        Raises:
            LMError: The try failed; `is_retryable` says whether another one may succeed.
        """
        stream = self._stream(request)
        return self._response(self._post(self._completions, self._body(request), timeout, stream), stream)

    async def acomplete(self, request: LMRequest, *, timeout: float) -> LMResponse:  # noqa: ASYNC109  aiohttp uses it
        """`complete` without blocking the event loop."""
        stream = self._stream(request)
        return self._response(await self._apost(self._completions, self._body(request), timeout, stream), stream)

    def embed(self, texts: Sequence[str], config: Mapping[str, Any], *, timeout: float) -> LMResponse:
        """Make one try of embedding texts: each output is a vector, as text (see `vectors`).

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

    def _post(self, http: HTTPClient, body: bytes, timeout: float, stream: Stream | None = None) -> HTTPReply:
        try:
            return http.post(body, timeout=timeout, reader=stream)
        except (OSError, UnreadableReplyError) as error:
            raise self._no_reply(error, timeout) from without_frames(error)

    async def _apost(
        self,
        http: HTTPClient,
        body: bytes,
        timeout: float,  # noqa: ASYNC109  as in acomplete
        stream: Stream | None = None,
    ) -> HTTPReply:
        try:
            return await http.apost(body, timeout=timeout, reader=stream)
        except (OSError, UnreadableReplyError) as error:
            raise self._no_reply(error, timeout) from without_frames(error)

    def _texts_body(self, texts: Sequence[str], config: Mapping[str, Any]) -> bytes:
        payload = {"model": self._endpoint.name, "input": list(texts), **config}
        _merge_extra_body(payload)
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
        for name in _FOR_LITELLM.intersection(payload):
            del payload[name]
        if request.on_chunk is not None:
            payload["stream"] = True
            if endpoint.takes_stream_options:
                payload.setdefault("stream_options", {"include_usage": True})
        is_secret = "extra_body" in payload
        _merge_extra_body(payload)
        body = _encode(payload).encode(errors="replace")  # half a surrogate pair has no UTF-8
        return SecretBytes(body) if is_secret else body

    def _stream(self, request: LMRequest) -> Stream | None:
        return None if request.on_chunk is None else Stream(self._endpoint, self._wire, request.on_chunk)

    def _response(self, reply: HTTPReply, stream: Stream | None) -> LMResponse:
        if stream is not None and reply.body is None:
            return stream.response(reply.headers)
        return read_completion(self._endpoint, self._wire, reply)

    def _vectors(self, reply: HTTPReply, n: int) -> LMResponse:
        return read_reply(self._endpoint, reply, partial(to_vectors, n=n), f"{n} embeddings")

    def _no_reply(self, error: OSError | UnreadableReplyError, timeout: float) -> LMError:
        endpoint, place = self._endpoint, self._endpoint.place
        if isinstance(error, UnreadableReplyError):
            return LMResponseError(f"{place}: {error}", model=endpoint.model, provider=endpoint.provider)
        if isinstance(error, TimeoutError):
            message = f"no whole reply from {place} within {timeout:g} seconds"
            return LMTimeoutError(message, model=endpoint.model, provider=endpoint.provider)
        return LMTransportError(
            f"no whole reply from {place}: {endpoint.without_credentials(str(error))}",
            model=endpoint.model,
            provider=endpoint.provider,
            # Servers close connections that were idle for a while: the next try need not wait.
            retry_after=0.0 if isinstance(error, StaleConnectionError) else None,
        )


def _merge_extra_body(payload: Json) -> None:
    """Merge `extra_body` into the body, as OpenAI's client does; its fields take precedence."""
    extra = payload.pop("extra_body", None)
    if extra is None:
        return
    if not isinstance(extra, Mapping):
        message = f"extra_body must be a dict of fields, not {type(extra).__name__}"
        raise ConfigurationError(message)
    payload.update(extra)
