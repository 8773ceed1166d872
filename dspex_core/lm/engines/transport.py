"""Bytes over HTTP for the direct engine, sync by urllib3 and async by aiohttp. PYTEST_DONT_REWRITE

Both post a body once and return the whole reply; a reader receives a stream of events as it arrives.
They raise the built-in `TimeoutError` when the reply did not arrive in time, `ConnectionError` when it
did not arrive whole, and `UnreadableReplyError` when it is too large or packed in an unknown way.
"""

from __future__ import annotations

import contextlib
import functools
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol

from dspex_core.errors.foreign_code import foreign_code

with foreign_code():
    import urllib3

from dspex_core.flow import forks
from dspex_core.lm.addresses import headers_of, proxy_for
from dspex_core.lm.engines.bodies import Body
from dspex_core.lm.engines.connections import Head, StaleConnectionError, connections

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from dspex_core.lm.addresses import Address
    from dspex_core.lm.engines.sessions import Reuse

_OK = 200
_CHUNK = 1 << 16
_NO_RETRIES = urllib3.Retry(total=False, redirect=False)  # as `retries=False`, which makes one for each request


class Reader(Protocol):
    """Reads a stream of events while it arrives."""

    def feed(self, data: bytes) -> None:
        """Process some bytes; an exception ends the request and closes its connection."""

    def connected(self, cancel: Callable[[], None]) -> None:
        """Receive the function by which another thread can cancel the wait for more."""


@dataclass(frozen=True, slots=True)
class HTTPReply:
    """A whole reply; header names are case-insensitive. `body` is `None` when a reader received it."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None = field(repr=False)  # it may repeat a refused key


class HTTPClient(forks.RenewedInChild):
    """Posts to one URL, always with the same headers; all clients of the process share their connections.

    Args:
        address: Where to post to.
        headers: Sent with every request.

    Raises:
        AddressError: The headers cannot be sent, or the environment names a proxy that cannot be used.
    """

    def __init__(self, address: Address, *, headers: Mapping[str, str]) -> None:
        self._url = address.url
        self._proxy = proxy_for(address.url)
        self._path, mark, query = address.target.partition("?")
        self._headers = Head(headers_of(headers), "" if self._proxy else f"{mark}{query}")
        self._async_headers: Mapping[str, str] = self._headers
        if self._proxy is not None and address.url.startswith("http://"):  # no tunnel: sent with each request
            self._async_headers = headers_of(self._headers, self._proxy.headers)
        self.in_child()
        forks.watch(self)

    def in_child(self) -> None:
        """Use the connections of this process."""
        manager = connections(self._proxy)
        if self._proxy is None:  # using the pool directly saves the manager's bookkeeping, a fifth of a request
            self._send: Callable[..., urllib3.BaseHTTPResponse] = manager.connection_from_url(self._url).urlopen
            self._where = self._path
        else:
            self._send, self._where = manager.urlopen, self._url

    def post(self, body: bytes, *, timeout: float, reader: Reader | None = None) -> HTTPReply:
        """Post a body and wait at most `timeout` seconds for the whole reply."""
        try:
            return self._post(body, timeout, reader)
        except urllib3.exceptions.NewConnectionError as error:  # urllib3 counts it among the timeouts
            raise ConnectionError(str(error)) from error
        except urllib3.exceptions.TimeoutError as error:
            raise TimeoutError(str(error)) from error
        except urllib3.exceptions.HTTPError as error:
            cause = error.args[-1] if error.args else error
            kind = StaleConnectionError if isinstance(cause, StaleConnectionError) else ConnectionError
            raise kind(str(cause if isinstance(cause, Exception) else error) or type(cause).__name__) from error

    async def apost(
        self,
        body: bytes,
        *,
        timeout: float,  # noqa: ASYNC109  aiohttp uses it
        reader: Reader | None = None,
    ) -> HTTPReply:
        """Post a body and await the whole reply, at most `timeout` seconds."""
        library = _async_library()
        connection = library.Reuse()
        token = library.in_use.set(connection)
        try:
            return await self._apost(body, timeout, reader, connection)
        except library.FAILURES as error:
            kind = StaleConnectionError if connection.reused else ConnectionError
            raise kind(str(error) or type(error).__name__) from error
        finally:
            library.in_use.reset(token)

    def _post(self, body: bytes, timeout: float, reader: Reader | None) -> HTTPReply:
        response = self._send(
            "POST",
            self._where,
            body=body,
            headers=self._headers,
            timeout=_limit(timeout),
            retries=_NO_RETRIES,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            if reader is None or not _is_event_stream(response.status, response.headers):
                chunks: list[bytes] = []
                _read(response, chunks.append)
                return HTTPReply(response.status, response.headers, b"".join(chunks))
            reader.connected(partial(_close_socket, response))
            _read(response, reader.feed)
            return HTTPReply(response.status, response.headers, None)
        except BaseException:
            response.close()
            raise

    async def _apost(
        self,
        body: bytes,
        timeout: float,  # noqa: ASYNC109  as in apost
        reader: Reader | None,
        connection: Reuse,
    ) -> HTTPReply:
        library = _async_library()
        session = await library.sessions.get()
        async with session.post(
            self._url,
            data=body,
            headers=self._async_headers,
            timeout=library.client_timeout(timeout),
            allow_redirects=False,
            proxy=self._proxy.url if self._proxy else None,
            proxy_headers=self._proxy.headers if self._proxy else None,
        ) as response:
            connection.reused = False  # a failure from here on does not mean a stale connection
            if response.status < _OK:  # aiohttp skips the others
                raise ConnectionError("101 Switching Protocols, which was not requested")
            streams = reader is not None and _is_event_stream(response.status, response.headers)
            chunks: list[bytes] = []
            taken = Body(response.status, response.headers, reader.feed if reader and streams else chunks.append)
            async for data in response.content.iter_any():
                taken.feed(data)
            taken.end()
            return HTTPReply(response.status, response.headers, None if streams else b"".join(chunks))


@functools.cache
def _async_library() -> ModuleType:
    """Return the module that imports aiohttp; sync programs need none."""
    with forks.loading():
        from dspex_core.lm.engines import sessions  # takes long

    return sessions


@functools.lru_cache(maxsize=16)
def _limit(seconds: float) -> urllib3.Timeout:
    """Return a limit on a whole request, of which urllib3 makes a copy for each."""
    return urllib3.Timeout(total=seconds)


def _is_event_stream(status: int, headers: Mapping[str, str]) -> bool:
    return status == _OK and headers.get("Content-Type", "").startswith("text/event-stream")


def _read(response: urllib3.BaseHTTPResponse, give: Callable[[bytes], object]) -> None:
    """Read a body to its end."""
    body = Body(response.status, response.headers, give)
    while not response.closed:  # as long as there is more
        if data := response.read1(_CHUNK, decode_content=False):
            body.feed(data)
    body.end()


def _close_socket(response: urllib3.BaseHTTPResponse) -> None:
    with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has ended
        response.shutdown()
