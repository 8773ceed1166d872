"""A program's outputs as server-sent events, while they are written. PYTEST_DONT_REWRITE

    event: piece
    data: {"predictor": "answer", "field": "answer", "delta": "Par", "last": false}

    event: outputs
    data: {"answer": "Paris"}

Each stream ends with one `outputs` or one `error`. A request that fails before the first event gets an ordinary error.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ServiceError
from dspex_core.serve.connected import end, while_connected
from dspex_core.serve.guard import NOTES, respond
from dspex_core.serve.refusals import ClientGoneError, json_bytes

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dspex_core.serve.guard import Notes, Receive, Scope, Send
    from dspex_core.serve.interface import JSONObject, OnChunk, Piece

_PING_SECONDS = 15.0  # proxies close connections on which nothing is sent
_SEND_SECONDS = 30.0  # a client that takes nothing for so long is given up
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold pieces back
]


class Pieces:
    """The pieces that are not sent yet. Those of one output grow together: a slow client costs no more than outputs."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []
        self._arrived = asyncio.Event()

    def add(self, piece: Piece) -> None:
        """Take a piece; never waits."""
        last = self._waiting[-1] if self._waiting else None
        is_next = last and last["predictor"] == piece.predictor and last["field"] == piece.field and not last["last"]
        if last and is_next and not piece.replaces:
            last["delta"] += piece.delta
            last["last"] = piece.is_last
        else:
            known = {"predictor": piece.predictor, "field": piece.field, "delta": piece.delta, "last": piece.is_last}
            self._waiting.append({**known, "replaces": True} if piece.replaces else known)
        self.wake()

    def wake(self, _: object = None) -> None:
        """Let the reader look."""
        self._arrived.set()

    async def next(self, seconds: float) -> list[dict[str, Any]]:
        """Return what has arrived; nothing after so many seconds, or when it was woken."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        self._arrived.clear()
        found, self._waiting = self._waiting, []
        return found


class EventStream:
    """Answers one request with the events of one call, as an ASGI app.

    Args:
        call: Runs the program.
    """

    def __init__(self, call: Callable[[OnChunk], Awaitable[JSONObject]]) -> None:
        self._call = call
        self._pieces = Pieces()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the program, and send its events until its end, or that of the connection."""
        await while_connected(receive, self._answer(scope[NOTES], send))

    async def _answer(self, notes: Notes, send: Send) -> None:
        work = asyncio.ensure_future(self._call(self._pieces.add))
        work.add_done_callback(self._pieces.wake)
        try:
            await self._write(work, notes, _patient(send))
        finally:
            await end(work)

    async def _write(self, work: asyncio.Future[JSONObject], notes: Notes, send: Send) -> None:
        pieces = await self._pieces.next(_PING_SECONDS)
        error = work.exception() if work.done() and not work.cancelled() else None
        if isinstance(error, ServiceError) and not pieces:
            await respond(error, notes, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        while not work.done() or pieces:
            events = b"".join(_event("piece", piece) for piece in pieces) or b": ping\n\n"
            await send({"type": "http.response.body", "body": events, "more_body": True})
            pieces = [] if work.done() else await self._pieces.next(_PING_SECONDS)
        await send({"type": "http.response.body", "body": _last_event(work, notes)})


def _last_event(work: asyncio.Future[JSONObject], notes: Notes) -> bytes:
    try:
        return _event("outputs", work.result())
    except ServiceError as error:
        notes.code = error.code
        return _event("error", error.to_json(notes.request_id))


def _event(kind: str, data: Any) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (kind.encode("ascii"), json_bytes(data))


def _patient(send: Send) -> Send:
    """Give up a client that reads nothing."""

    async def sending(message: Any) -> None:
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await send(message)
        except TimeoutError:
            raise ClientGoneError from None

    return sending
