"""The direct engine: the OpenAI wire format over pooled HTTP, without LiteLLM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors import LMError, LMResponseError, LMTimeoutError, LMTransportError
from dspex_core.lm.refusals import refusal
from dspex_core.lm.transport import HTTPClient, HTTPReply
from dspex_core.lm.vectors import to_vectors
from dspex_core.messages import LMOutput, LMRequest, LMResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.lm.providers import Endpoint
    from dspex_core.messages import Json

_OK = 200
_EXCERPT = 500
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
# OpenAI's reasoning models refuse `max_tokens` and take the same limit under its newer name.
_REASONING_MODEL = re.compile(r"o\d|gpt-5")


class DirectEngine:
    """Makes calls to one endpoint. Threads and event loops may share it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._renames_limit = endpoint.provider == "openai" and bool(_REASONING_MODEL.match(endpoint.name))
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # replies are short: unpacking costs more than it saves
            "User-Agent": "pytest-dspex",
        }
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key}"
        self._chat = HTTPClient(f"{endpoint.base_url}/chat/completions", headers=headers)
        self._embeddings = HTTPClient(f"{endpoint.base_url}/embeddings", headers=headers)

    def complete(self, request: LMRequest, *, timeout: float) -> LMResponse:
        """Make one try of a call, which may take `timeout` seconds in total.

        Raises:
            LMError: It failed; `is_retryable` says whether another try may do better.
        """
        return self._response(self._post(self._chat, self._body(request), timeout))

    async def acomplete(self, request: LMRequest, *, timeout: float) -> LMResponse:  # noqa: ASYNC109  aiohttp keeps it
        """`complete` without blocking the event loop."""
        return self._response(await self._apost(self._chat, self._body(request), timeout))

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

    def _post(self, http: HTTPClient, body: bytes, timeout: float) -> HTTPReply:
        try:
            return http.post(body, timeout=timeout)
        except OSError as error:
            raise self._no_reply(error, timeout) from error

    async def _apost(self, http: HTTPClient, body: bytes, timeout: float) -> HTTPReply:  # noqa: ASYNC109  as in acomplete
        try:
            return await http.apost(body, timeout=timeout)
        except OSError as error:
            raise self._no_reply(error, timeout) from error

    def _texts_body(self, texts: Sequence[str], config: Mapping[str, Any]) -> bytes:
        payload = {"model": self._endpoint.name, "input": list(texts), **config}
        return _encode(payload).encode(errors="replace")

    def _body(self, request: LMRequest) -> bytes:
        payload: Json = {
            "model": self._endpoint.name,
            "messages": [message.to_json() for message in request.messages],
            **request.config,
        }
        if self._renames_limit and "max_tokens" in payload:
            payload["max_completion_tokens"] = payload.pop("max_tokens")
        schema = request.response_schema
        if schema is not None and self._endpoint.supports_schema:
            payload["response_format"] = {"type": "json_schema", "json_schema": schema.to_json()}
        return _encode(payload).encode(errors="replace")  # half a surrogate pair has no UTF-8

    def _response(self, reply: HTTPReply) -> LMResponse:
        return self._read(reply, _to_response, "a chat completion")

    def _vectors(self, reply: HTTPReply, n: int) -> LMResponse:
        return self._read(reply, partial(to_vectors, n=n), f"{n} embeddings")

    def _read(self, reply: HTTPReply, reading: Callable[[Json], LMResponse], wanted: str) -> LMResponse:
        if reply.status != _OK:
            raise refusal(self._endpoint, reply.status, reply.headers, reply.body)
        try:
            data = json.loads(reply.body)
            if "choices" not in data and "data" not in data and data.get("error"):
                raise refusal(self._endpoint, reply.status, reply.headers, reply.body)
            return reading(data)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise self._not_understood(reply, wanted) from error

    def _no_reply(self, error: OSError, timeout: float) -> LMError:
        endpoint = self._endpoint
        if isinstance(error, TimeoutError):
            message = f"no whole reply from {endpoint.base_url} within {timeout:g} seconds"
            return LMTimeoutError(message, model=endpoint.model, provider=endpoint.provider)
        message = f"no whole reply from {endpoint.base_url}: {error}"
        return LMTransportError(message, model=endpoint.model, provider=endpoint.provider)

    def _not_understood(self, reply: HTTPReply, wanted: str) -> LMError:
        endpoint = self._endpoint
        excerpt = reply.body[:_EXCERPT].decode(errors="replace")
        message = f"{endpoint.base_url} did not reply with {wanted}; check the address; it began: {excerpt!r}"
        return LMResponseError(message, model=endpoint.model, provider=endpoint.provider, status=reply.status)


def _to_response(data: Json) -> LMResponse:
    outputs = tuple(_to_output(choice) for choice in data["choices"])
    if not outputs:
        raise ValueError("no choices")
    usage = data.get("usage") or {}
    return LMResponse(
        outputs,
        model=data.get("model") or "",
        usage=Usage(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0),
        cost=usage.get("cost"),  # some gateways say it
    )


def _to_output(choice: Json) -> LMOutput:
    message: Json = choice["message"]
    return LMOutput(
        message.get("content") or "",
        finish_reason=choice.get("finish_reason"),
        reasoning=message.get("reasoning_content") or message.get("reasoning"),
    )
