"""The HTTP recorder's place in the process: it stands before the requests of all client libraries. PYTEST_DONT_REWRITE

A request to an LM goes to the recorder in the settings of its context, as the calls of our LMs do. So each test, thread
and task has its own, while the libraries are patched once. A call that is recorded as one of our LMs has no recorder in
its context, so its requests pass.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn

from dspex_core.plugin_api import LayeredRecorder, current, foreign_code, refusal_of
from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest, kept_headers, request_of
from pytest_dspex.cassettes.http_recorder import HTTPRecorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_dspex.cassettes.lm_hosts import LMHosts


class HTTPDoor:
    """Decides for each request of the process whether it passes, or goes to a recorder.

    Args:
        hosts: The servers that the session knows as those of LMs.
    """

    def __init__(self, hosts: LMHosts) -> None:
        self.hosts = hosts

    def recorder(self, method: str, url: str, body: Callable[[], Any]) -> HTTPRecorder | None:
        """Return the recorder of a request, or `None` if it passes; `body` is called if that decides."""
        recorder = recorder_here()
        return recorder if recorder is not None and self.hosts.is_lm(method, url, body) else None

    def check_address(self, host: Any, port: Any) -> None:
        """Refuse a connection to an LM in a session that only replays: its client is not one that is recorded.

        Raises:
            CassetteMiss: The session only replays.
        """
        settings = current()
        if not settings.replay_only or not isinstance(host, str | bytes):
            return
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        number = int(port) if isinstance(port, int) or (isinstance(port, str) and port.isdecimal()) else None
        recorder = recorder_here()
        if recorder is not None and self.hosts.is_address(name.lower().rstrip("."), number):
            recorder.replay_http(HTTPRequest("CONNECT", f"{name}:{number} by a client that is not recorded"))


def recorder_here() -> HTTPRecorder | None:
    """Return the recorder of HTTP requests in this context; `None` if they pass."""
    settings = current()
    recorder = settings.recorder
    while isinstance(recorder, LayeredRecorder):
        recorder = recorder.outer
    if isinstance(recorder, HTTPRecorder):
        return recorder
    return _Refusing() if recorder is None and (settings.replay_only or settings.recorded_only) else None


class _Refusing(HTTPRecorder):
    """Refuses all requests, in a part of a session that has no recorder."""

    def replay_http(self, request: HTTPRequest) -> NoReturn:
        raise refusal_of(request.model)

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        raise refusal_of(request.model)


class Exchange:
    """One request and its reply.

    vcrpy's patches of client libraries see it as their cassette: it has the part of `vcr.cassette.Cassette`'s interface
    that they use.
    """

    write_protected = False

    def __init__(self, recorder: HTTPRecorder) -> None:
        self._recorder = recorder
        self._requests: list[HTTPRequest] = []  # more than one where the client follows redirects
        self._reply: HTTPReply | None = None

    def replayed(self, method: str, url: str, headers: Iterable[tuple[str, str]], body: Any) -> HTTPReply | None:
        """Return the recorded reply, or `None` if the request has to be sent."""
        request = request_of(method, url, headers=headers, body=body)
        self._requests.append(request)
        return self._recorder.replay_http(request)

    def recorded(self, status: int, headers: Iterable[tuple[str, str]], body: bytes) -> HTTPReply:
        """Record the reply to the oldest request that has none, and return it as a replay will."""
        headers = list(headers)
        coding = ", ".join(value for name, value in headers if name.lower() == "content-encoding")
        reply = HTTPReply(status, kept_headers(headers), _decoded(body, coding) if coding else body)
        self._recorder.record_http(self._requests.pop(0), reply)
        return reply

    def can_play_response_for(self, request: Any) -> bool:
        """Look up a request."""
        pairs = [(name, str(value)) for name, value in request.headers.items()]
        self._reply = self.replayed(request.method, request.uri, pairs, request.body)
        return self._reply is not None

    def play_response(self, request: Any) -> dict[str, Any]:
        """Return the reply that was found."""
        assert self._reply is not None, "asked only after `can_play_response_for`"
        return {
            "status": {"code": self._reply.status, "message": ""},
            "headers": {name: [value] for name, value in self._reply.headers.items()},
            "body": {"string": self._reply.body},
        }

    def filter_request(self, request: Any) -> Any:
        """Return the request: all that come here are recorded."""
        return request

    def find_requests_with_most_matches(self, request: Any) -> list[tuple[Any]]:
        """Return the request itself: a redirect is looked up as any other request."""
        return [(request,)]

    def append(self, request: Any, response: dict[str, Any]) -> None:
        """Record a reply."""
        pairs = [(name, value) for name, values in response["headers"].items() for value in values]
        if not self._requests:  # the target of a redirect that the client has followed
            self._requests.append(request_of(request.method, request.uri, headers=(), body=request.body))
        self.recorded(response["status"]["code"], pairs, response["body"].get("string", b""))


def _decoded(body: bytes, coding: str) -> bytes:
    with foreign_code():
        from urllib3 import HTTPResponse  # only recording needs it
        from urllib3.exceptions import DecodeError

    try:
        return HTTPResponse(BytesIO(body), headers={"content-encoding": coding}, preload_content=False).read()
    except DecodeError:  # some clients have decoded it, and kept the header
        return body
