"""Bytes over HTTP for the direct engine, sync by urllib3 and async by aiohttp. PYTEST_DONT_REWRITE

Both post a body and return the whole reply; a stream of events is given to a reader as it arrives.
They raise the built-in `TimeoutError` when the reply did not arrive in time and `ConnectionError`
when it did not arrive whole. A kept-alive connection that the server had closed meanwhile is
replaced once, unnoticed.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import math
import time
import urllib.request
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from dspex_core.foreign_code import foreign_code

with foreign_code():
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

from dspex_core.lm.per_loop import PerLoop

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    import aiohttp

_OK = 200
_POOL_SIZE = 1024  # connections kept for one host: more threads than anybody runs
_CHUNK = 1 << 16
_SLACK = 0.02  # seconds by which a reply may outlast its deadline: to look at the clock costs less than to set it


class Reader(Protocol):
    """What reads a stream of events while it arrives."""

    def feed(self, data: bytes) -> None:
        """Take in some bytes; what it raises ends the request and closes its connection."""

    def connected(self, hang_up: Callable[[], None]) -> None:
        """Learn how another thread can end the wait for more."""


@dataclass(frozen=True, slots=True)
class HTTPReply:
    """One whole reply; header names may be asked for in any case. `body` is `None` when a reader got it."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


class _StaleConnectionError(ConnectionResetError):
    """The server closed a kept-alive connection before it saw the request."""


class _Reusable(HTTPConnection):
    """A connection that knows whether it has served before: only then is a reset a stale one."""

    _served = False

    def connect(self) -> None:
        self._served = False
        super().connect()

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3's own override
        try:
            response = super().getresponse()
        except ConnectionResetError as error:
            if self._served:
                raise _StaleConnectionError(*error.args) from error
            raise
        self._served = True
        return response


class _ReusableTLS(_Reusable, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Reusable


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _ReusableTLS


@functools.cache
def _manager(proxy: str | None) -> urllib3.PoolManager:
    """Return the connections that all LMs of the process share."""
    manager = urllib3.ProxyManager(proxy, maxsize=_POOL_SIZE) if proxy else urllib3.PoolManager(maxsize=_POOL_SIZE)
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return manager


class HTTPClient:
    """Posts to one URL, always with the same headers; all clients of the process share their connections.

    Args:
        url: Where to post to.
        headers: Sent with every request.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = headers
        self._proxy = _proxy_for(url)
        manager = _manager(self._proxy)
        if self._proxy is None:  # asking the pool itself saves the manager's bookkeeping, a fifth of a request
            self._send: Callable[..., urllib3.BaseHTTPResponse] = manager.connection_from_url(url).urlopen
            self._where = urlsplit(url).path
        else:
            self._send, self._where = manager.urlopen, url

    def post(self, body: bytes, *, timeout: float, reader: Reader | None = None) -> HTTPReply:
        """Post a body and wait at most `timeout` seconds for the whole reply."""
        try:
            try:
                return self._post(body, timeout, reader)
            except urllib3.exceptions.ProtocolError as error:
                if not isinstance(error.args[-1], _StaleConnectionError):
                    raise
                return self._post(body, timeout, reader)
        except urllib3.exceptions.NewConnectionError as error:  # urllib3 counts it among the timeouts
            raise ConnectionError(str(error)) from error
        except urllib3.exceptions.TimeoutError as error:
            raise TimeoutError(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(str(error)) from error

    async def apost(
        self,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109  aiohttp keeps it
        reader: Reader | None = None,
    ) -> HTTPReply:
        """Post a body and await the whole reply, at most `timeout` seconds."""
        with foreign_code():
            import aiohttp  # a sync program need not load it

        connection = _Connection()
        try:
            try:
                return await self._apost(body, timeout, reader, connection)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                if not connection.reused:
                    raise
                return await self._apost(body, timeout, reader, connection)
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    def _post(self, body: bytes, timeout: float, reader: Reader | None) -> HTTPReply:
        deadline = time.monotonic() + timeout
        response = self._send(
            "POST",
            self._where,
            body=body,
            headers=self._headers,
            timeout=urllib3.Timeout(total=timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        if reader is None or not _is_event_stream(response.status, response.headers):
            chunks: list[bytes] = []
            _read(response, deadline, chunks.append)
            return HTTPReply(response.status, response.headers, b"".join(chunks))
        reader.connected(partial(_hang_up, response))
        _read(response, deadline, reader.feed)
        return HTTPReply(response.status, response.headers, None)

    async def _apost(
        self,
        body: bytes,
        timeout: float,  # noqa: ASYNC109  as in apost
        reader: Reader | None,
        connection: _Connection,
    ) -> HTTPReply:
        session = await _sessions.get()
        async with session.post(
            self._url,
            data=body,
            headers=self._headers,
            timeout=_aio_timeout(timeout),
            allow_redirects=False,
            proxy=self._proxy,
            trace_request_ctx=connection,
        ) as response:
            connection.reused = False  # a failure from here on is no stale connection's
            if reader is None or not _is_event_stream(response.status, response.headers):
                return HTTPReply(response.status, response.headers, await response.read())
            async for data in response.content.iter_any():
                reader.feed(data)
            return HTTPReply(response.status, response.headers, None)


def _is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    return status == _OK and headers.get("Content-Type", "").startswith("text/event-stream")


def _read(response: urllib3.BaseHTTPResponse, deadline: float, take: Callable[[bytes], object]) -> None:
    """Read a body to its end, which must come before the deadline."""
    allowed = math.inf
    try:
        while data := response.read1(_CHUNK):
            take(data)
            left = deadline - time.monotonic()
            if allowed - left > _SLACK:
                allowed = left
                _allow(response.connection, left)
    except BaseException:
        response.close()
        raise


def _allow(connection: object, seconds: float) -> None:
    """Let a connection wait for so long at most: a server that trickles may not outwait the total."""
    if seconds <= 0:
        raise TimeoutError
    if isinstance(connection, HTTPConnection) and connection.sock is not None:
        connection.sock.settimeout(seconds)


def _hang_up(response: urllib3.BaseHTTPResponse) -> None:
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has ended
        response.shutdown()


@functools.lru_cache(maxsize=16)
def _aio_timeout(seconds: float) -> aiohttp.ClientTimeout:
    with foreign_code():
        import aiohttp  # as in apost

    return aiohttp.ClientTimeout(total=seconds)


def _proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for a URL; none for this machine itself."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(slots=True)
class _Connection:
    """What an async request notes of the connection it got: whether it had served before."""

    reused: bool = False


async def _note_reuse(_session: Any, context: Any, _params: Any) -> None:
    context.trace_request_ctx.reused = True


async def _session() -> AsyncGenerator[aiohttp.ClientSession, None]:
    with foreign_code():
        import aiohttp  # as in apost

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_POOL_SIZE),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[tracing],
    ) as session:
        yield session


_sessions = PerLoop(_session)
