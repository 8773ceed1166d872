"""A chat-completions server on a loopback port that answers, delays and fails as a test tells it to."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Fault = Literal["reset", "drop", "half_body", "stall", "trickle"]


@dataclass(frozen=True)
class Reply:
    """What the server does with one request.

    `body` is sent as it is (a dict as JSON) instead of a completion with `text`. Faults: `reset`
    aborts the connection and `drop` closes it, both before any byte of the reply; `half_body` closes
    it in the middle; `stall` sends nothing until the server ends; `trickle` sends bytes of
    the body one by one, 20 ms apart.
    """

    text: str | None = "ok"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    delay: float = 0.0
    fault: Fault | None = None
    chunked: bool = False


@dataclass(frozen=True)
class Received:
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    connection: int


Script = Callable[[dict[str, Any]], "Reply | str"]


class OpenAIServer:
    """Answers by a function of the request's body, or with `replies` in order and then with "ok" for ever."""

    def __init__(self, *replies: Reply | str, script: Script | None = None) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.ended = threading.Event()
        self.replies = deque(replies)
        self._script = script
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._server = _Server(self)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self.close_connections()
        self._server.server_close()
        self._thread.join()

    def close_connections(self) -> None:
        """Close every connection, as a server does with those that were idle too long."""
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def reply_to(self, request: Received) -> Reply:
        with self._lock:
            self.requests.append(request)
            reply = self._script(request.body) if self._script else self.replies.popleft() if self.replies else "ok"
        return Reply(reply) if isinstance(reply, str) else reply

    def opened(self, connection: socket.socket) -> int:
        with self._lock:
            self._open.add(connection)
            self.connections += 1
            return self.connections

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, told: OpenAIServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told = told


class _Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        told = self.server.told
        number = told.opened(self.connection)
        with contextlib.suppress(OSError):  # the client may go away
            while (request := self._read(number)) and self._answer(told.reply_to(request), request):
                pass
        told.closed(self.connection)

    def _read(self, number: int) -> Received | None:
        start = self.rfile.readline()
        if not start:
            return None
        headers = {}
        while line := self.rfile.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self.rfile.read(int(headers.get("content-length", 0)))
        return Received(start.split()[1].decode(), headers, json.loads(body or b"{}"), number)

    def _answer(self, reply: Reply, request: Received) -> bool:
        """Send the reply, and say whether the connection goes on."""
        self.server.told.ended.wait(reply.delay)
        if reply.fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if reply.fault == "stall":
            self.server.told.ended.wait()
        if reply.fault in ("reset", "drop", "stall"):
            return False
        body = completion(reply.text, request.body) if reply.body is None else reply.body
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.wfile.write(_head(reply, len(payload)))
        if reply.fault == "half_body":
            payload = payload[: len(payload) // 2]
        if reply.chunked:
            payload = b"%x\r\n%s\r\n" % (len(payload), payload) + (b"" if reply.fault else b"0\r\n\r\n")
        if reply.fault == "trickle":
            for byte in payload:
                self.wfile.write(bytes([byte]))
                self.server.told.ended.wait(0.02)
        else:
            self.wfile.write(payload)
        return reply.fault is None


def _head(reply: Reply, length: int) -> bytes:
    framing = {"Transfer-Encoding": "chunked"} if reply.chunked else {"Content-Length": str(length)}
    headers = {"Content-Type": "application/json", **framing, **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Told", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def completion(text: str | None, request: Mapping[str, Any] | None = None, **message: Any) -> dict[str, Any]:
    """A chat completion with as many equal choices as the request asks for."""
    request = request or {}
    choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": request.get("model", "fake"),
        "choices": [{"index": index, **choice} for index in range(request.get("n") or 1)],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
