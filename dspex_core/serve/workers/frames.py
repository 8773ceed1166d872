"""The messages between a service and its workers: JSON objects with their length in front. PYTEST_DONT_REWRITE

To a worker:

    {"kind": "setup", ...}                                   once, first
    {"kind": "call", "call": 7, "inputs": {...}, "streams": true, "trace": {...}, "until": 1234.5}
    {"kind": "cancel", "call": 7}

From a worker:

    {"kind": "ready"}  or  {"kind": "unfit", "reason": "..."}   once, first
    {"kind": "beat"}                                         while its event loop runs
    {"kind": "begun", "call": 7}                             before the program runs
    {"kind": "pieces", "call": 7, "pieces": [[predictor, field, delta, is_last, replaces], ...]}
    {"kind": "outputs", "call": 7, "outputs": {...}}         each call has one of these at its end
    {"kind": "failed", "call": 7, "error": {...}}
    {"kind": "cancelled", "call": 7}
    {"kind": "withdrawn", "call": 7}                         `until` has passed, and the program does not run
    {"kind": "log", "logger": "dspex", "level": 30, "message": "..."}
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Message = dict[str, Any]
_HEAD = 4  # bytes of a length
LARGEST = 256 * 2**20  # bytes: a larger length means that something else has written to the socket


class FrameError(ValueError):
    """Bytes that are not a message, or a message that is too large."""


def framed(message: Mapping[str, Any]) -> bytes:
    """Return a message as bytes.

    Raises:
        FrameError: It is too large, or not JSON data.
    """
    try:
        body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise FrameError(f"a message to or from a worker is not JSON data: {error}") from error
    if len(body) > LARGEST:
        raise FrameError(f"a message to or from a worker has {len(body)} bytes; it may have up to {LARGEST}")
    return len(body).to_bytes(_HEAD, "big") + body


async def next_message(reader: asyncio.StreamReader) -> Message | None:
    """Return the next message; `None` where the other side has closed the socket, or has gone.

    Raises:
        FrameError: The bytes are not a message.
    """
    try:
        size = int.from_bytes(await reader.readexactly(_HEAD), "big")
        if size > LARGEST:
            raise FrameError(f"a message of {size} bytes was announced; it may have up to {LARGEST}")
        body = await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    try:
        message = json.loads(body)
    except ValueError as error:
        raise FrameError("a message is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("kind"), str):
        raise FrameError("a message is not an object that names its kind")
    return message
