"""Turns an error reply, in any provider's form, into a typed error. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import (
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMError,
    LMInvalidRequestError,
    LMRateLimitError,
    LMRefusalError,
    LMServerError,
    LMTimeoutError,
    LMUnsupportedModelError,
)
from dspex_core.lm.engines.error_words import (
    is_key_refused,
    is_limit_of_the_account,
    is_server_failure,
    is_timeout,
    is_too_long,
    is_unpaid,
)
from dspex_core.lm.engines.waiting import seconds_to_wait
from dspex_core.lm.engines.wire.base import DeclinedError, RefusedError
from dspex_core.plain.secrets import shown_address

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.lm.providers import Endpoint

_OK, _BAD_REQUEST, _SERVER_FAULTS, _UNAVAILABLE, _ERRORS = 200, 400, 500, 503, range(400, 600)
_BY_STATUS: dict[int, type[LMError]] = {
    401: LMAuthError,
    402: LMBillingError,
    403: LMAuthError,
    404: LMUnsupportedModelError,  # as DSPy has it: no such model, or an address without one
    408: LMTimeoutError,
    409: LMServerError,  # a transient conflict with another request
    425: LMServerError,  # too early
    429: LMRateLimitError,
    498: LMRateLimitError,  # Groq: its capacity is used up
    504: LMTimeoutError,
}
# For errors in a reply with status 200 and in the middle of a stream.
_CODES: dict[type[LMError], str] = {
    LMRateLimitError: """
        rate_limit_exceeded rate_limit_error rate_limit rate_limited too_many_requests resource_exhausted
        throttlingexception throttling""",
    LMBillingError: """
        insufficient_quota insufficient_balance billing_hard_limit_reached billing_not_active billing_error
        payment_required""",
    LMServerError: """
        server_error internal_error internal_server_error internal api_error overloaded_error overloaded unavailable
        service_unavailable service_unavailable_error engine_overloaded engine_overloaded_error bad_gateway""",
    LMTimeoutError: "timeout timeout_error request_timeout gateway_timeout deadline_exceeded",
    LMAuthError: "authentication_error invalid_api_key permission_error permission_denied unauthenticated unauthorized",
    ContextWindowExceededError: """
        context_length_exceeded context_window_exceeded exceed_context_size_error model_max_prompt_tokens_exceeded
        request_too_large""",
    LMRefusalError: "content_filter responsibleaipolicyviolation content_policy_violation",
}
_BY_CODE = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_NOT_ON_LENGTH = (401, 402, 403, 404, 408, 429)
_VAGUE = (400, 413, 422)
_EXCERPT = 500
_DEPTH = 6  # how deep an explanation is searched: gateways nest them

_INNER = ("error", "errors", "innererror", "base_resp", "response", "metadata", "raw")
_MESSAGE = ("message", "detail", "msg", "error_message", "error_msg", "status_msg", "error_description")
_CODE = ("code", "error_code", "status_code", "type", "status")


def refusal(endpoint: Endpoint, status: int, headers: Mapping[str, str], body: bytes) -> LMError:
    """Return the error for a reply with this status."""
    try:
        data = json.loads(body)
        said = _explanation(data)
    except (ValueError, RecursionError):
        data, said = None, _Explanation()
    default = body[:_EXCERPT].decode(errors="replace") or f"HTTP status {status}, {_unexplained(headers)}"
    return _error(endpoint, status, headers, said, default=default, body=data)


def _unexplained(headers: Mapping[str, str]) -> str:
    place = headers.get("location", "").partition("?")[0]
    if not place:
        return "without an explanation"
    return f"a redirect to {shown_address(place)!r}, which is not followed: give that server's address, if it is right"


def error_in_reply(endpoint: Endpoint, error: RefusedError | DeclinedError, headers: Mapping[str, str]) -> LMError:
    """Return the error that a reply with status 200 holds."""
    if isinstance(error, DeclinedError):
        message = f"the model refused to answer: {endpoint.without_credentials(error.words.strip())}"
        return LMRefusalError(message, model=endpoint.model, provider=endpoint.provider, status=_OK)
    said = _explanation(error.said)
    return _error(endpoint, _OK, headers, said, default=repr(error.said)[:_EXCERPT], body=error.said)


def _error(
    endpoint: Endpoint, status: int, headers: Mapping[str, str], said: _Explanation, *, default: str, body: Any
) -> LMError:
    if status == _OK:  # a gateway passed on another server's refusal as its own success
        numbers = (int(code) for code in said.codes if code.isdecimal() and len(code) == len("200"))
        status = next((number for number in numbers if number in _ERRORS), _OK)
    kind = error_class(status, said.message, *said.codes)
    return kind(
        endpoint.without_credentials(said.message or default),
        model=endpoint.model,
        provider=endpoint.provider,
        status=status,
        provider_code=endpoint.without_credentials(said.codes[0]) if said.codes else None,
        request_id=headers.get("x-request-id") or headers.get("request-id"),
        retry_after=seconds_to_wait(
            headers, said.message, is_busy=kind is LMRateLimitError or status == _UNAVAILABLE, body=body
        ),
    )


def error_class(status: int, message: str, *codes: str) -> type[LMError]:  # noqa: PLR0911  one return per kind of reply
    """Return the error class by the reply's status, and by its text where the status is vague."""
    codes = tuple(code.lower() for code in codes)
    named = {_BY_CODE[code]: None for code in codes if code in _BY_CODE}
    for settled in (LMBillingError, LMRefusalError):
        if settled in named:
            return settled
    if status in _VAGUE and LMRateLimitError in named:
        return LMRateLimitError
    if ContextWindowExceededError in named and not is_limit_of_the_account(message):
        return ContextWindowExceededError
    if status not in _NOT_ON_LENGTH and is_too_long(message):
        return ContextWindowExceededError
    if status == _OK:
        return next(iter(named), None) or _by_words(message)
    if status == _BAD_REQUEST and (is_unpaid(message) or is_key_refused(message)):
        return LMBillingError if is_unpaid(message) else LMAuthError
    return _BY_STATUS.get(status) or (LMServerError if status >= _SERVER_FAULTS else LMInvalidRequestError)


def _by_words(message: str) -> type[LMError]:
    """Return the error class of a message without a status and without a known code."""
    if is_unpaid(message):
        return LMBillingError
    if is_limit_of_the_account(message):
        return LMRateLimitError
    if is_timeout(message):
        return LMTimeoutError
    return LMServerError if is_server_failure(message) else LMInvalidRequestError


@dataclass(frozen=True, slots=True)
class _Explanation:
    """The explanation in an error reply; the first code is the most specific."""

    message: str = ""
    codes: tuple[str, ...] = ()


def _explanation(data: Any, depth: int = 0) -> _Explanation:
    if isinstance(data, str):
        return _explanation_in_text(data, depth)
    if isinstance(data, list) and data and depth < _DEPTH:
        return _explanation(data[0], depth + 1)
    if not isinstance(data, dict):
        return _Explanation()
    inner = [_explanation(data[name], depth + 1) for name in _INNER if data.get(name)] if depth < _DEPTH else []
    own = _own_explanation(data, depth)
    found = [*inner, own] if data.get("error") else [own, *inner]  # the outer object has its own code
    messages = dict.fromkeys(said.message for said in found if said.message)
    codes = dict.fromkeys(code for said in found for code in said.codes)
    return _Explanation(": ".join(messages), tuple(codes))


def _own_explanation(data: Mapping[str, Any], depth: int) -> _Explanation:
    codes = tuple(_text(data[name]) for name in _CODE if _is_code(data.get(name)))
    message = next((data[name] for name in _MESSAGE if data.get(name)), "")
    if not isinstance(message, str):
        return _Explanation(_text(message), codes)
    said = _explanation_in_text(message, depth)
    return _Explanation(said.message, (*codes, *said.codes))


def _explanation_in_text(text: str, depth: int) -> _Explanation:
    """Read a message, which may be the JSON text of another server's error."""
    if depth < _DEPTH and text.lstrip()[:1] in ("{", "["):
        try:
            inner = _explanation(json.loads(text), depth + 1)
        except (ValueError, RecursionError):
            inner = _Explanation()
        if inner.message:
            return inner
    return _Explanation(text)


def _is_code(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value not in ("", "error")


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else json.dumps(value)
