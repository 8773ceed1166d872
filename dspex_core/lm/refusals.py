"""An error reply, in any of the forms that providers give it, becomes one typed error. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import (
    ContextWindowExceededError,
    LMAuthError,
    LMBillingError,
    LMError,
    LMInvalidRequestError,
    LMRateLimitError,
    LMServerError,
    LMTimeoutError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.lm.providers import Endpoint

_OK, _SERVER_FAULTS = 200, 500
_BY_STATUS: dict[int, type[LMError]] = {
    401: LMAuthError,
    402: LMBillingError,
    403: LMAuthError,
    408: LMTimeoutError,
    429: LMRateLimitError,
    504: LMTimeoutError,
}
_BY_CODE: dict[str, type[LMError]] = {  # for what a stream says in its middle, where there is no status
    "server_error": LMServerError,
    "overloaded_error": LMServerError,
    "rate_limit_exceeded": LMRateLimitError,
}
_MAY_BE_TOO_LONG = (400, 413, 422)
_TOO_LONG = re.compile(
    r"(maximum|exceed\w*|available|model's) (the )?(maximum )?context|context[ _](length|window|size)[ _]exceeded"
    r"|(prompt|input|request) is too long|reduce the length",
    re.IGNORECASE,
)
_EXCERPT = 500


def refusal(endpoint: Endpoint, status: int, headers: Mapping[str, str], body: bytes) -> LMError:
    """Return the error that a reply stands for."""
    said = _explanation(body)
    if status == _OK and said.code.isdecimal():
        status = int(said.code)  # a gateway passed on another server's refusal as its own success
    return error_class(status, said.message, said.code, said.type)(
        said.message or body[:_EXCERPT].decode(errors="replace") or f"HTTP status {status}, without an explanation",
        model=endpoint.model,
        provider=endpoint.provider,
        status=status,
        provider_code=said.code or None,
        request_id=headers.get("x-request-id") or headers.get("request-id"),
        retry_after=_retry_after(headers),
    )


def error_class(status: int, message: str, *codes: str) -> type[LMError]:
    """Return the kind of error by the reply's status, and by what it says where the status is vague."""
    if "context_length_exceeded" in codes or (status in _MAY_BE_TOO_LONG and _TOO_LONG.search(message)):
        return ContextWindowExceededError
    if "insufficient_quota" in codes:
        return LMBillingError
    if status == _OK:
        return next((_BY_CODE[code] for code in codes if code in _BY_CODE), LMInvalidRequestError)
    return _BY_STATUS.get(status) or (LMServerError if status >= _SERVER_FAULTS else LMInvalidRequestError)


@dataclass(frozen=True, slots=True)
class _Explanation:
    """What an error reply says of itself, as far as it does."""

    message: str = ""
    code: str = ""
    type: str = ""


def _explanation(body: bytes) -> _Explanation:
    try:
        data = json.loads(body)
    except ValueError:
        return _Explanation()
    if isinstance(data, list) and data:
        data = data[0]
    error = (data.get("error") or data) if isinstance(data, dict) else data
    if not isinstance(error, dict):
        return _Explanation(str(error or ""))
    message = error.get("message") or error.get("detail") or ""
    code, kind = error.get("code"), error.get("type")
    return _Explanation(_text(message), _text(kind if code is None else code), _text(kind))


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a reply asks to wait, which it says as a number or as a date."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
