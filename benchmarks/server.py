"""A loopback server that answers every chat completion with the same text, after a fixed time.

Asked for a stream, it sends 500 events, at once or that time apart.

It does as little as a server can (it looks for the end of the request and writes a prepared
reply), so what is measured against it is the client. The other scripts start it as a process of
its own with `running`; started by hand it prints its address.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
# Understood by the chat adapters of both dspex_core and DSPy, for a signature with the output `answer`.
_TEXT = "[[ ## answer ## ]]\nParis\n\n[[ ## completed ## ]]"
_BODY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "benchmark",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": _TEXT}}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    }
).encode()
_REPLY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
_EVENTS = [
    json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_700_000_000,
            "model": "benchmark",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}],
        }
    ).encode()
    for text in [_TEXT.partition("Paris")[0], *(f"word{number} " for number in range(1, 500))]
]
_STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_STREAM = [b"%x\r\ndata: %s\n\n\r\n" % (len(event) + 8, event) for event in [*_EVENTS, b"[DONE]"]]
_ASKS_FOR_STREAM = re.compile(rb'"stream": ?true')


class _Connection(asyncio.Protocol):
    def __init__(self, latency: float) -> None:
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, blank_line, body = self._received.partition(b"\r\n\r\n")
        if not blank_line:
            return
        length = _LENGTH.search(head)
        if length and len(body) < int(length[1]):
            return
        self._received = b""  # clients do not pipeline
        if _ASKS_FOR_STREAM.search(body):
            self._stream()
        elif self._latency:
            asyncio.get_running_loop().call_later(self._latency, self._transport.write, _REPLY)
        else:
            self._transport.write(_REPLY)

    def _stream(self) -> None:
        pieces = [_STREAM_HEAD, *_STREAM, b"0\r\n\r\n"]
        if not self._latency:
            self._transport.write(b"".join(pieces))
            return
        loop = asyncio.get_running_loop()
        for number, piece in enumerate(pieces):
            loop.call_later(number * self._latency, self._transport.write, piece)


@contextmanager
def running(latency: float = 0.0) -> Iterator[str]:
    """Run the server in a process of its own and give its address, `http://127.0.0.1:PORT/v1`."""
    command = [sys.executable, __file__, "--latency", str(latency)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def _serve(port: int, latency: float) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(latency), "127.0.0.1", port, backlog=1024
    )
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="how long a reply takes")
    options = parser.parse_args()
    asyncio.run(_serve(options.port, options.latency))


if __name__ == "__main__":
    main()
