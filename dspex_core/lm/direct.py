"""The direct engine: the OpenAI wire format over pooled HTTP, without LiteLLM. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from dspex_core.errors import LMError, LMResponseError, LMTimeoutError, LMTransportError
from dspex_core.lm.refusals import refusal
from dspex_core.lm.transport import HTTPClient, HTTPReply
from dspex_core.messages import LMOutput, LMRequest, LMResponse, Usage

if TYPE_CHECKING:
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
        url = f"{endpoint.base_url}/chat/completions"
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # replies are short: unpacking costs more than it saves
            "User-Agent": "pytest-dspex",
        }
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key}"
        self._url = url
        self._http = HTTPClient(url, headers=headers, timeout=endpoint.timeout)

    def complete(self, request: LMRequest) -> LMResponse:
        """Make one try of a call.

        Raises:
            LMError: It failed; `is_retryable` says whether another try may do better.
        """
        body = self._body(request)
        try:
            reply = self._http.post(body)
        except OSError as error:
            raise self._no_reply(error) from error
        return self._response(reply)

    async def acomplete(self, request: LMRequest) -> LMResponse:
        """`complete` without blocking the event loop."""
        body = self._body(request)
        try:
            reply = await self._http.apost(body)
        except OSError as error:
            raise self._no_reply(error) from error
        return self._response(reply)

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
        if reply.status != _OK:
            raise refusal(self._endpoint, reply.status, reply.headers, reply.body)
        try:
            data = json.loads(reply.body)
            if "choices" not in data and data.get("error"):
                raise refusal(self._endpoint, reply.status, reply.headers, reply.body)
            return _to_response(data)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise self._not_understood(reply) from error

    def _no_reply(self, error: OSError) -> LMError:
        endpoint = self._endpoint
        if isinstance(error, TimeoutError):
            message = f"no whole reply from {endpoint.base_url} within {endpoint.timeout:g} seconds"
            return LMTimeoutError(message, model=endpoint.model, provider=endpoint.provider)
        message = f"no whole reply from {endpoint.base_url}: {error}"
        return LMTransportError(message, model=endpoint.model, provider=endpoint.provider)

    def _not_understood(self, reply: HTTPReply) -> LMError:
        endpoint = self._endpoint
        excerpt = reply.body[:_EXCERPT].decode(errors="replace")
        message = f"{self._url} did not reply with a chat completion; check the address; it began: {excerpt!r}"
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
