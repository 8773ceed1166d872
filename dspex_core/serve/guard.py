"""Stands before all routes: who may ask, a request's id, its log line and its count. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import BusyError, ServiceError
from dspex_core.serve.in_process import failure_text
from dspex_core.serve.refusals import ClientGoneError, RefusedError, headers_of, json_bytes, status_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from dspex_core.serve.service import Service

    Message = MutableMapping[str, Any]
    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger("dspex.serve")
_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_OPEN_PATHS = ("/health", "/ready")
_CLIENT_GONE = 499  # as nginx logs it
NOTES = "dspex.notes"  # where a request's scope has its `Notes`


@dataclass(slots=True)
class Notes:
    """What is learned of a request until it is answered."""

    request_id: str
    program: str = ""
    code: str = "ok"
    status: int = 0


class Guard:
    """An ASGI app around another one.

    Args:
        app: The routes.
        service: Whose options say who may ask.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        token = service.options.token
        self._token = None if token is None else token.encode("ascii")
        self._open = 0
        self._most_open = max(256, 4 * service.options.concurrency)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let the app answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        notes = scope[NOTES] = Notes(given.decode("ascii") if _ID.fullmatch(given) else secrets.token_hex(16))
        began = time.perf_counter()
        self._open += 1
        try:
            await self._answer(scope, headers, receive, _noting(send, notes))
        finally:
            self._open -= 1
            self._note(scope, notes, time.perf_counter() - began)

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        notes: Notes = scope[NOTES]
        try:
            self._check(scope, headers)
            await self._app(scope, receive, send)
        except ClientGoneError:
            notes.status, notes.code = _CLIENT_GONE, "client_gone"
        except ServiceError as error:
            await respond(error, notes, send)
        except Exception as error:  # a fault of ours: the caller gets an error, the log where it was
            _log.error("the service failed on request %s: %s", notes.request_id, failure_text(error))
            if notes.status:
                raise
            await respond(ServiceError("the service has failed; its log says where"), notes, send)

    def _check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raise where the request may not reach the app."""
        host = headers.get(b"host", b"").decode("latin-1")
        if not _may_reach(host, scope.get("server"), self._service.options.hosts):
            message = f"the service is not reached by the host name {host!r}; its operator can allow it"
            raise RefusedError(message, http_status=421)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path in _OPEN_PATHS:
            return
        if self._token is not None and not self._is_known(headers.get(b"authorization", b"")):
            message = "the token is missing or wrong: send Authorization: Bearer ..."
            raise RefusedError(message, http_status=401, headers={"www-authenticate": "Bearer"})
        if self._open > self._most_open:
            raise BusyError(f"{self._open} requests are open, which is too many: try again in 1 s")

    def _is_known(self, authorization: bytes) -> bool:
        kind, _, given = authorization.partition(b" ")
        is_equal = hmac.compare_digest(given.strip(), self._token or b"")  # in a time that does not depend on where
        return is_equal and kind.lower() == b"bearer"

    def _note(self, scope: Scope, notes: Notes, seconds: float) -> None:
        self._service.metrics.answered(notes.program, status=notes.status, code=notes.code)
        if not _log.isEnabledFor(logging.INFO):
            return
        route = scope.get("route")
        known = {
            "request_id": notes.request_id,
            "method": scope["method"],
            "route": "-" if route is None else route.path,  # a path that nobody serves may hold anything
            "program": notes.program or "-",
            "status": notes.status,
            "code": notes.code,
            "milliseconds": round(seconds * 1000, 1),
        }
        words = " ".join(f"{name}={value}" for name, value in known.items())
        _log.info("%s", words, extra={"dspex": known})


async def respond(error: ServiceError, notes: Notes, send: Send) -> None:
    """Send an error."""
    notes.code = error.code
    body = json_bytes(error.to_json(notes.request_id))
    headers = {"content-type": "application/json", "content-length": str(len(body)), **headers_of(error)}
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status_of(error), "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _noting(send: Send, notes: Notes) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            notes.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", notes.request_id.encode("ascii"))]
        await send(message)

    return noting


def _may_reach(host: str, server: Any, hosts: tuple[str, ...] | None) -> bool:
    name = _host_name(host)
    if hosts is None:
        return not is_loopback(str(server[0])) if server and not is_loopback(name) else True
    return "*" in hosts or name in hosts or is_loopback(name)


def _host_name(host: str) -> str:
    """Return a `Host` header without its port."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower().removesuffix(".")


def is_loopback(name: str) -> bool:
    """Return whether a host name or address can only mean this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
