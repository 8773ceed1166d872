"""Requests that HTTP itself refuses, and errors as responses. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dspex_core.errors import BusyError, ServiceError, ShuttingDownError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODES = {
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "too_large",
    415: "unsupported_media_type",
    421: "wrong_host",
}


class RefusedError(ServiceError):
    """A request that does not reach a program.

    Args:
        message: What is wrong, and what to do.
        http_status: The status of the response, which the code follows.
        details: JSON data for programs.
        headers: Headers of the response.
    """

    def __init__(
        self,
        message: str,
        *,
        http_status: int,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.http_status = http_status
        self.headers = dict(headers or {})
        super().__init__(message, details=details)
        self.code = _CODES.get(http_status, "bad_request")


class ClientGoneError(Exception):
    """The client has closed its connection: nobody reads a response any more."""


def status_of(error: ServiceError) -> int:
    """Return the status of an error's response."""
    return error.http_status if isinstance(error, RefusedError) else error.status


def headers_of(error: ServiceError) -> dict[str, str]:
    """Return the headers that an error's response has beside its type."""
    if isinstance(error, RefusedError):
        return {**error.headers, **({"connection": "close"} if error.http_status in (408, 413) else {})}
    if isinstance(error, BusyError):
        closing = {"connection": "close"} if isinstance(error, ShuttingDownError) else {}
        return {"retry-after": str(max(1, round(error.retry_after))), **closing}
    return {}


def json_bytes(data: Any) -> bytes:
    """Return JSON data as bytes: in UTF-8, or escaped where a text has half of a surrogate pair."""
    try:
        return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(data, allow_nan=False, separators=(",", ":")).encode("ascii")
