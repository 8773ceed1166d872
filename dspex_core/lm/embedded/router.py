"""The address of an embedded model, which passes each call to one of the model's servers. PYTEST_DONT_REWRITE

A llama.cpp server with one thread uses one core, so a model has several. Callers, those in other
processes included, see one address.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from bisect import bisect_left
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.config import context
from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp
    from aiohttp import ClientSession, web

_log = logging.getLogger("dspex")

_HOST = "127.0.0.1"
_LONGEST_BODY = 1 << 30
_FOUR_HOURS = 4 * 3600.0  # longer than any caller's timeout; callers cancel by closing the connection
_FORWARDED = ("Content-Type", "Accept")
_TRIES = 5  # of a request that a server has not answered at all
_PAUSE = 0.1  # seconds between them


@dataclass(slots=True, eq=False)
class _Server:
    """A server of the model, and its last request."""

    url: str
    last: bytes = b""


class Router:
    """Passes each call to the free server whose last prompt shares the longest prefix with it.

    A call that finds no free server queues, and starts another server while there are fewer than `limit`. Answers do
    not depend on which server gives them.

    Args:
        url: The base URL of the first server, which runs already.
        start: Starts one more server and returns its base URL. It may block; it is called in a thread.
        limit: The largest number of servers.
    """

    def __init__(self, url: str, *, start: Callable[[], str], limit: int) -> None:
        self._first = url
        self._start = start
        self._limit = limit
        self._free = [_Server(url)]
        self._count = 1
        self._closed = False
        self._starting: asyncio.Task[None] | None = None
        address: Future[str] = Future()
        threading.Thread(target=self._run, args=(address,), name="dspex-local-router", daemon=True).start()
        self.address = address.result()

    def close(self) -> None:
        """Refuse further calls, and start no more servers."""
        self._closed = True

    def _run(self, address: Future[str]) -> None:
        try:
            # No user code runs in this thread. What it forwards are calls of our LMs, which their callers record.
            with foreign_code(), context(recorder=None, replay_only=False, recorded_only=False):
                asyncio.run(self._listen(address))
        except Exception as error:  # noqa: BLE001  passed to the thread that waits for the address
            if not address.done():
                address.set_exception(error)

    async def _listen(self, address: Future[str]) -> None:
        with foreign_code():
            import aiohttp  # only where a model is embedded
            from aiohttp import web

        self._turns = asyncio.Semaphore(1)  # as many as there are free servers; first come, first served
        app = web.Application(client_max_size=_LONGEST_BODY)
        # A connection each: a server closes idle ones at any time.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=_FOUR_HOURS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            self._session: ClientSession = session
            app.router.add_get("/{path:.*}", self._ask_first)
            app.router.add_post("/{path:.*}", self._ask_free)
            # A caller who goes away cancels the handler, and so the server's work.
            runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
            await runner.setup()
            site = web.TCPSite(runner, _HOST, 0)
            await site.start()
            port = runner.addresses[0][1]
            address.set_result(f"http://{_HOST}:{port}")
            await asyncio.Event().wait()  # until the process ends

    async def _ask_first(self, request: web.Request) -> web.StreamResponse:
        return await self._forward(request, self._first, None)

    async def _ask_free(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self._turns.locked():
            self._start_another()
        async with self._turns:
            server = max(reversed(self._free), key=lambda server: _shared(server.last, body))
            self._free.remove(server)
            server.last = body
            try:
                return await self._forward(request, server.url, body)
            finally:
                self._free.append(server)

    def _start_another(self) -> None:
        if self._starting is None and self._count < self._limit and not self._closed:
            self._starting = asyncio.create_task(self._add_server())

    async def _add_server(self) -> None:
        try:
            url = await asyncio.to_thread(self._start)
        except Exception as error:  # noqa: BLE001  the running servers go on
            _log.warning("the embedded LM goes on with %d server(s), another did not start: %s", self._count, error)
            self._limit = self._count
            return
        finally:
            self._starting = None
        self._count += 1
        self._free.append(_Server(url))
        self._turns.release()

    async def _forward(self, request: web.Request, url: str, body: bytes | None) -> web.StreamResponse:
        with foreign_code():
            import aiohttp  # as in _listen

        if self._closed:
            return _unavailable("the embedded LM has ended with its process")
        headers = {name: value for name in _FORWARDED if (value := request.headers.get(name))}
        for tries_left in reversed(range(_TRIES)):
            reply = None
            try:
                async with self._session.request(
                    request.method, url + request.path_qs, data=body, headers=headers, allow_redirects=False
                ) as reply:
                    return await _passed_on(request, reply)
            except aiohttp.ClientError as error:
                if reply is not None or not tries_left:
                    return _unavailable(f"a server of the embedded LM did not answer: {error}")
            await asyncio.sleep(_PAUSE)  # a server on a busy machine may drop a connection before it reads the request
        raise AssertionError("the last try returns")


async def _passed_on(request: web.Request, reply: aiohttp.ClientResponse) -> web.StreamResponse:
    with foreign_code():
        from aiohttp import web  # as in _listen

    if not reply.headers.get("Content-Type", "").startswith("text/event-stream"):
        return web.Response(body=await reply.read(), status=reply.status, headers=_headers(reply))
    response = web.StreamResponse(status=reply.status, headers=_headers(reply))
    await response.prepare(request)
    async for piece in reply.content.iter_any():
        await response.write(piece)
    await response.write_eof()
    return response


def _headers(reply: Any) -> dict[str, str]:
    return {"Content-Type": reply.headers.get("Content-Type", "application/json")}


def _unavailable(message: str) -> web.Response:
    with foreign_code():
        from aiohttp import web  # as in _listen

    return web.json_response({"error": {"message": message, "code": 503}}, status=503)


def _shared(a: bytes, b: bytes) -> int:
    """Return the length of the longest common prefix of two requests."""
    shorter = min(len(a), len(b))
    return bisect_left(range(shorter), 1, key=lambda index: a[: index + 1] != b[: index + 1])
