"""How the HTTP recorder stands before `http.client`, and so before `urllib.request`. PYTEST_DONT_REWRITE

At the start of a request, the connection gets a stand-in for its socket. It keeps what is sent; when the reply is asked
for, the request is whole, and it is known whether it goes to an LM. All else is sent then, as it was written.
"""

from __future__ import annotations

import functools
import http.client
from io import BytesIO
from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import past_recorder
from pytest_dspex.cassettes.http_clients import netloc
from pytest_dspex.cassettes.http_door import Exchange, recorder_here

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pytest_dspex.cassettes.exchange import HTTPReply
    from pytest_dspex.cassettes.http_door import HTTPDoor


def before_http_client(door: HTTPDoor, real: Callable[..., Any], module: ModuleType) -> Callable[..., Any]:  # noqa: ARG001  one form for all
    """Stand before `HTTPConnection.putrequest` of `http.client`, with which each request begins."""

    @functools.wraps(real)
    def putrequest(connection: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
        if recorder_here() is not None and not isinstance(connection.sock, _Tape):
            if "://" in url:  # through a proxy
                whole = url
            else:
                host, port = connection._tunnel_host or connection.host, connection._tunnel_port or connection.port  # noqa: SLF001  no public way
                scheme = "https" if connection.default_port == http.client.HTTPS_PORT else "http"
                whole = f"{scheme}://{netloc(host, port)}{url}"
            connection.sock = _Tape(connection, door, method=method, url=whole)
        return real(connection, method, url, *args, **options)

    return putrequest


class _Tape:
    """Stands in the place of a connection's socket until its request is whole, then gives the reply."""

    def __init__(self, connection: Any, door: HTTPDoor, *, method: str, url: str) -> None:
        self._connection = connection
        self._before = connection.sock  # open since an earlier request, or not yet
        self._door = door
        self._method = method
        self._url = url
        self._sent = bytearray()

    def sendall(self, data: bytes) -> None:
        """Keep a part of the request."""
        self._sent += data

    def settimeout(self, _seconds: float | None) -> None:
        """Do nothing: nothing is waited for."""

    def close(self) -> None:
        """Close the connection of an earlier request."""
        if self._before is not None:
            self._before.close()

    def makefile(self, *args: Any, **options: Any) -> Any:
        """Return the reply, recorded or live."""
        return _Reply(lambda: self._reply(*args, **options))

    def _reply(self, *args: Any, **options: Any) -> Any:
        head, _, body = bytes(self._sent).partition(b"\r\n\r\n")
        headers = _parsed_headers(head)
        if "chunked" in dict(headers).get("transfer-encoding", ""):
            body = _dechunked(body)
        recorder = self._door.recorder(self._method, self._url, lambda: body)
        if recorder is None:
            return self._live_socket().makefile(*args, **options)
        exchange = Exchange(recorder)
        reply = exchange.replayed(self._method, self._url, headers, body)
        if reply is None:
            with past_recorder():
                live = http.client.HTTPResponse(self._live_socket(), method=self._method)
                live.begin()
                reply = exchange.recorded(live.status, live.getheaders(), live.read())
                self._connection.sock.close()
            self._connection.sock = self
        return BytesIO(_as_message(reply))

    def _live_socket(self) -> Any:
        """Send the request, and return the connection's own socket."""
        self._connection.sock = self._before
        if self._before is None:
            self._connection.connect()
        self._connection.sock.sendall(self._sent)
        return self._connection.sock


class _Reply:
    """A file that is opened when it is first read.

    It is asked for in the constructor of `HTTPResponse`. An error there would leave an object without a file, and since
    Python 3.13 each such object warns when it is collected.
    """

    def __init__(self, opened: Callable[[], Any]) -> None:
        self._opened = opened

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    @functools.cached_property
    def _file(self) -> Any:
        return self._opened()

    def flush(self) -> None:
        """Do nothing: it is only read."""

    def close(self) -> None:
        """Close the file if there is one."""
        if "_file" in self.__dict__:
            self._file.close()


def _parsed_headers(head: bytes) -> list[tuple[str, str]]:
    _, _, lines = head.partition(b"\r\n")
    return [(name.lower(), value) for name, value in http.client.parse_headers(BytesIO(lines + b"\r\n\r\n")).items()]


def _dechunked(body: bytes) -> bytes:
    whole, rest = bytearray(), body
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        if not length:
            break
        whole += rest[:length]
        rest = rest[length + 2 :]
    return bytes(whole)


def _as_message(reply: HTTPReply) -> bytes:
    headers = {**reply.headers, "content-length": str(len(reply.body)), "connection": "close"}
    reason = http.client.responses.get(reply.status, "")
    lines = [f"HTTP/1.1 {reply.status} {reason}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace") + reply.body
