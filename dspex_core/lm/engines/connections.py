"""Keep-alive connections for sync requests, with a deadline for the whole request. PYTEST_DONT_REWRITE

urllib3 bounds each single read. Here a whole try is bounded: the look-up of the name, each address that
is tried, the handshake, the head and the body. Interim replies (1xx) are skipped, and a head that ends
in its middle is an error.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.flow.threads import in_thread
from dspex_core.lm.engines.heads import is_chunked, length_of, read_headers
from dspex_core.plain.secrets import SecretMapping

with foreign_code():
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection, _ResponseOptions
    from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.lm.addresses import Proxy

_POOL_SIZE = 1024  # connections kept per host: more than anybody has threads
_MOST_INTERIM_REPLIES = 100
_SWITCHING_PROTOCOLS = 101
_FIRST_FINAL = 200
_WITHOUT_A_BODY = (204, 304)
_SLACK = 0.02  # seconds by which a read may exceed its deadline: setting a timeout costs more than reading the clock


class StaleConnectionError(ConnectionError):
    """A reused connection broke before any byte of the reply arrived."""


class Head(SecretMapping):
    """The checked headers of all requests of a client, as one piece of bytes. It does not change.

    urllib3 encodes and checks each header of each request, which costs as much as the rest of sending it.

    Args:
        headers: The headers.
        query: What is added to the target of each request, with its `?`: it may hold a key, and urllib3 logs targets.
    """

    __slots__ = ("has_host", "lines", "query")

    def __init__(self, headers: Mapping[str, str], query: str = "") -> None:
        super().__init__(headers)
        self.query = query
        self.has_host = any(name.lower() == "host" for name in headers)
        self.lines = b"\r\n".join(f"{name}: {value}".encode("latin-1") for name, value in headers.items())

    def copy(self) -> Head:
        """Return itself: a pool copies the headers of each request to add those for a proxy."""
        return self


class _Wire(io.RawIOBase):
    """Reads from a socket until the deadline."""

    at_end = False

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._source = sock.makefile("rb", buffering=0)  # keeps the socket open until it is read to its end
        self._sock = sock
        self._deadline = deadline
        self._allowed = deadline - time.monotonic()  # the connection's own timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if self._allowed - left > _SLACK:
            if left <= 0:
                raise TimeoutError("timed out")
            self._allowed = left
            self._sock.settimeout(left)
        read = self._source.readinto(buffer)
        self.at_end = read == 0
        return read

    def close(self) -> None:
        self._source.close()
        super().close()


class _Reply(http.client.HTTPResponse):
    """The final reply, after interim ones."""

    def __init__(self, sock: socket.socket, *args: Any, deadline: float, **kwargs: Any) -> None:
        self._wire = _Wire(sock, deadline)
        super().__init__(self, *args, **kwargs)  # type: ignore[arg-type]  # it asks for nothing but `makefile`

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that the base class reads from."""
        return io.BufferedReader(self._wire)

    def begin(self) -> None:
        """Read the head, as the base class does, but with headers that are read in a tenth of the time."""
        if self.headers is not None:
            return
        version, self.status, reason = self._read_status()
        if not version.startswith("HTTP/1."):
            raise http.client.UnknownProtocol(version)
        self.code, self.reason = self.status, reason.strip()
        self.version = 10 if version == "HTTP/1.0" else 11
        self.headers = self.msg = read_headers(self.fp)
        if self._wire.at_end:  # it had to read on after the last whole line
            raise http.client.RemoteDisconnected("the connection was closed in the middle of the reply's head")
        self.chunked, self.chunk_left = is_chunked(self.headers), None
        self.length = None if self.chunked else length_of(self.headers)
        if self.status in _WITHOUT_A_BODY:
            self.length = 0
        self.will_close = self._check_close() or (self.length is None and not self.chunked)

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM_REPLIES):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # typeshed lacks it
            if status >= _FIRST_FINAL:
                return version, status, reason
            if status == _SWITCHING_PROTOCOLS:
                raise http.client.BadStatusLine("101 Switching Protocols, which was not requested")
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine("interim replies only")


class _Connection(HTTPConnection):
    """A connection with one timeout for the whole request, which knows whether it was used before."""

    _served = False
    _held_back: list[bytes] | None = None
    putheader = http.client.HTTPConnection.putheader  # urllib3's looks for its own marks in each header

    def _new_conn(self) -> socket.socket:
        self._served = False
        deadline = time.monotonic() + _seconds(self.timeout)
        self.response_class = partial(_Reply, deadline=deadline)  # type: ignore[assignment]  # for what a proxy says when it opens a tunnel
        failure: OSError | None = None
        for address in self._addresses(deadline):
            try:
                connected = urllib3.util.connection.create_connection(
                    (address, self.port), max(deadline - time.monotonic(), 0.001), socket_options=self.socket_options
                )
            except TimeoutError as error:
                raise ConnectTimeoutError(self, f"could not connect to {self.host} in time") from error
            except OSError as error:
                failure = error
            else:
                connected.settimeout(max(deadline - time.monotonic(), 0.001))  # for a handshake
                return connected
        raise NewConnectionError(self, f"could not connect: {failure}") from failure

    def _addresses(self, deadline: float) -> list[str]:
        host = self._dns_host
        if host == "localhost" or ":" in host or not any(map(str.isalpha, host)):
            return [host]  # an IP address, or known without a look-up
        # The system's look-up has no timeout.
        looked_up = in_thread(partial(socket.getaddrinfo, host, self.port, type=socket.SOCK_STREAM))
        try:
            found = looked_up.result(max(deadline - time.monotonic(), 0.001))
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"the address of {self.host} was not found in time") from error
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Send a request in one piece; urllib3 sends its head and its body apart, which costs a sixth of a call."""
        self._held_back = []
        try:
            if isinstance(headers, Head):
                self._write_head(method, url, len(body), headers, options)
                self._held_back.append(body)
            else:
                super().request(method, url, body, headers, **options)
            whole = b"".join(self._held_back)
        finally:
            self._held_back = None
        self.send(whole)

    def _write_head(self, method: str, url: str, size: int, head: Head, options: dict[str, Any]) -> None:
        """Write what urllib3 does for a request with a body, with the headers as one piece."""
        seconds = _seconds(self.timeout)
        # Setting it is a system call, for which other threads may take the interpreter.
        if self.sock is not None and abs((self.sock.gettimeout() or 0.0) - seconds) > _SLACK:
            self.sock.settimeout(seconds)
        kept = {name: value for name, value in options.items() if name != "chunked"}
        self._response_options = _ResponseOptions(request_method=method, request_url=url, **kept)
        target = f"{url}{head.query}"
        http.client.HTTPConnection.putrequest(self, method, target, skip_host=head.has_host, skip_accept_encoding=True)
        self._output(b"Content-Length: %d" % size)  # type: ignore[attr-defined]  # typeshed lacks it
        if head.lines:
            self._output(head.lines)  # type: ignore[attr-defined]
        self.endheaders()

    def send(self, data: Any) -> None:
        """Send some bytes, or hold them back until the request is whole."""
        if self._held_back is None:
            super().send(data)
        else:
            self._held_back.append(data)

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as urllib3's own override
        deadline = time.monotonic() + _seconds(self.timeout)
        self.response_class = partial(_Reply, deadline=deadline)  # type: ignore[assignment]  # it makes one
        try:
            response = super().getresponse()
        except ConnectionError as error:
            if self._served:
                raise StaleConnectionError(*error.args) from error
            raise
        self._served = True
        return response


class _TLSConnection(_Connection, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


def connections(proxy: Proxy | None) -> urllib3.PoolManager:
    """Return the connection pool that all LMs of this process share."""
    if proxy is None:
        return _manager(os.getpid(), None, None)
    return _manager(os.getpid(), proxy.url, proxy.headers.get("Proxy-Authorization"))


@functools.cache
def _manager(_process: int, proxy: str | None, credentials: str | None) -> urllib3.PoolManager:
    manager = (
        urllib3.ProxyManager(
            proxy,
            maxsize=_POOL_SIZE,
            proxy_headers={"Proxy-Authorization": credentials} if credentials else None,
        )
        if proxy
        else urllib3.PoolManager(maxsize=_POOL_SIZE)
    )
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
    return manager


def _seconds(timeout: Any) -> float:
    return float(timeout)  # urllib3 resolves it before each request
