"""A server of OpenAI's wire formats on a loopback port that answers, delays and fails as a test tells it to."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import socketserver
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

Fault = Literal["reset", "drop", "half_body", "stall", "stall_midway", "trickle"]


@dataclass(frozen=True)
class Reply:
    """What the server does with one request.

    `body` is sent as it is (a dict as JSON) instead of a completion with `text`. When the request asks
    for a stream, a completion is sent as one, unless it is `plain`, and a list as the data of its
    events. Unframed, the end of a reply is that of the connection. Faults: `reset` aborts the
    connection and `drop` closes it, both before any byte of the reply; `half_body` closes it in the
    middle; `stall` sends nothing until the server ends, `stall_midway` only half of the events;
    `trickle` sends bytes of the body one by one, 20 ms apart.
    """

    text: str | None = "ok"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    delay: float = 0.0
    fault: Fault | None = None
    chunked: bool = False
    unframed: bool = False
    plain: bool = False


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
        self.left = threading.Event()  # when a client has closed a connection on which the server stalled midway
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
        events = _events(reply, request)
        payload = b"".join(events) if events else _plain_body(reply, request)
        self.wfile.write(_head(reply, len(payload), "text/event-stream" if events else "application/json"))
        if reply.fault == "half_body":
            payload = payload[: len(payload) // 2]
        if reply.fault == "stall_midway":
            self.wfile.write(b"".join(events[: len(events) // 2]))
            if not self.connection.recv(1) and not self.server.told.ended.is_set():
                self.server.told.left.set()
        elif reply.fault == "trickle":
            for byte in payload:
                self.wfile.write(bytes([byte]))
                self.server.told.ended.wait(0.02)
        elif reply.chunked:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(payload), payload) + (b"" if reply.fault else b"0\r\n\r\n"))
        else:
            self.wfile.write(payload)
        return reply.fault is None and not reply.unframed


def _head(reply: Reply, length: int, kind: str) -> bytes:
    framing = {"Transfer-Encoding": "chunked"} if reply.chunked else {"Content-Length": str(length)}
    if reply.unframed:
        framing = {"Connection": "close"}
    headers = {"Content-Type": kind, **framing, **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Told", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


def _plain_body(reply: Reply, request: Received) -> bytes:
    body = _completion(reply, request) if reply.body is None else reply.body
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _completion(reply: Reply, request: Received) -> dict[str, Any]:
    path = request.path.partition("?")[0]
    if path.endswith("/responses"):
        return response(reply.text, request.body)
    make = completion if path.endswith("/chat/completions") else text_completion
    return make(reply.text, request.body)


def _events(reply: Reply, request: Received) -> list[bytes]:
    if not request.body.get("stream") or reply.plain:
        return []
    body = _completion(reply, request) if reply.body is None else reply.body
    if isinstance(body, list):
        return [event_bytes(event) for event in body]
    if not isinstance(body, dict):
        return []
    if "output" in body:
        return [event_bytes(event) for event in response_events(body)]
    if "choices" not in body:
        return []
    counted = (request.body.get("stream_options") or {}).get("include_usage")
    return [event_bytes(event) for event in (*completion_events(body, usage=bool(counted)), b"[DONE]")]


def event_bytes(data: Any) -> bytes:
    """An event of a stream; bytes are its data as they are."""
    return b"data: %s\n\n" % (data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode())


def completion_events(body: dict[str, Any], *, usage: bool = True) -> Iterator[dict[str, Any]]:
    """The events of a chat or text completion: word by word, each call in two pieces, at last the reason."""
    base = {name: value for name, value in body.items() if name not in ("usage", "choices")}
    if base["object"] == "chat.completion":
        base["object"] = "chat.completion.chunk"
    for choice in body["choices"]:
        for delta in _deltas(choice):
            yield {**base, "choices": [{"index": choice["index"], "finish_reason": None, **delta}]}
        last = {"text": ""} if "text" in choice else {"delta": {}}
        yield {**base, "choices": [{"index": choice["index"], "finish_reason": choice["finish_reason"], **last}]}
    if usage:
        yield {**base, "choices": [], "usage": body["usage"]}


def _deltas(choice: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "text" in choice:
        yield from ({"text": word} for word in words(choice["text"]))
        return
    message = choice["message"]
    yield {"delta": {"role": "assistant", "content": ""}}
    for word in words(message.get("reasoning_content") or ""):
        yield {"delta": {"reasoning_content": word}}
    for word in words(message["content"] or ""):
        yield {"delta": {"content": word}}
    for index, call in enumerate(message.get("tool_calls") or ()):
        arguments = call["function"]["arguments"]
        first = {**call, "index": index, "function": {**call["function"], "arguments": arguments[:3]}}
        yield {"delta": {"tool_calls": [first]}}
        yield {"delta": {"tool_calls": [{"index": index, "function": {"arguments": arguments[3:]}}]}}


def response_events(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a response: those that tell of its text and reasoning, and the last, which holds it whole."""
    begun = {**body, "status": "in_progress", "output": []}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    for place, item in enumerate(body["output"]):
        where = {"item_id": item["id"], "output_index": place}
        for index, part in enumerate(item.get("summary") or ()):
            here = {**where, "summary_index": index}
            events.append({"type": "response.reasoning_summary_part.added", "part": {**part, "text": ""}, **here})
            events += [
                {"type": "response.reasoning_summary_text.delta", "delta": word, **here} for word in words(part["text"])
            ]
        for index, part in enumerate(item.get("content") or ()):
            here = {**where, "content_index": index}
            events += [{"type": "response.output_text.delta", "delta": word, **here} for word in words(part["text"])]
    events.append({"type": f"response.{body['status']}", "response": body})
    yield from ({**event, "sequence_number": number} for number, event in enumerate(events))


def words(text: str) -> list[str]:
    return re.findall(r"\s*\S+|\s+", text)


def text_completion(text: str | None, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A text completion with as many equal choices as the request asks for."""
    made = completion(text, request)
    choices = [{"index": choice["index"], "finish_reason": "stop", "text": text} for choice in made["choices"]]
    return {**made, "id": "cmpl-1", "object": "text_completion", "choices": choices}


def response(text: str | None, request: Mapping[str, Any] | None = None, *items: dict[str, Any]) -> dict[str, Any]:
    """A response with a message, unless the text is empty, after other items."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": (request or {}).get("model", "fake"),
        "output": [*items, message] if text else [*items],
        "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    }


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
