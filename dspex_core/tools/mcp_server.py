"""A connection to an MCP server that survives failures of the server. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ToolServerError
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.plain.display import error_text
from dspex_core.tools.tool import Tool

if TYPE_CHECKING:
    from mcp import Client

    from dspex_core.tools.mcp import ResultMode


_CONNECT_SECONDS = 60.0  # how long a server may take to list its tools


class MCPTools:
    """A connection to an MCP server, open for a `with` block, which receives the server's tools as a list.

        with MCPTools(StdioServerParameters(command="orders-server")) as tools:
            ReAct("question -> answer", tools=tools)(question="...")

        async with MCPTools("https://example.com/mcp", timeout=10) as tools:
            await ReAct("question -> answer", tools=tools).acall(question="...")

    It runs in its own thread with an event loop. So its tools can be called sync and async, from any thread and loop;
    when the server ends, only their calls fail. (The `mcp` package by itself then cancels the task that opened the
    connection.)

    Args:
        server: Anything that `mcp.Client` accepts: a URL, an `mcp.StdioServerParameters`, a transport, ...
        result_mode: As for `Tool.from_mcp_tool`.
        timeout: Seconds that each call may take.

    Raises on entering:
        ImportError: The extra `mcp` is not installed.
        ToolServerError: The server cannot be reached, or does not list its tools within a minute.
    """

    def __init__(self, server: Any, *, result_mode: ResultMode = "text", timeout: float | None = None) -> None:
        self._server = server
        self._result_mode = result_mode
        self._timeout = timeout
        self._ready: Future[list[Tool]]
        self._thread: threading.Thread
        self._loop: asyncio.AbstractEventLoop
        self._closing: asyncio.Event

    def __enter__(self) -> list[Tool]:
        _client_class()  # here, as no server is at fault if it is missing
        self._ready = Future()
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=lambda: run(asyncio.run, self._serve()), name="dspex-mcp", daemon=True)
        self._thread.start()
        return self._ready.result()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    async def __aenter__(self) -> list[Tool]:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.__exit__)

    async def _serve(self) -> None:
        """Keep the connection until the block ends; if it is lost before, calls fail until then."""
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        lost: asyncio.Future[str] = self._loop.create_future()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS) as limit:
                await self._connected(lost, limit)
        except Exception as error:  # noqa: BLE001  passed to those who wait for the tools or for a call
            late = isinstance(error, TimeoutError) and not self._ready.done()
            reason = f"no answer within {_CONNECT_SECONDS:g} s" if late else error_text(_first(error))
            if not self._ready.done():
                self._ready.set_exception(ToolServerError(f"the MCP server cannot be reached: {reason}"))
            elif not lost.done():
                lost.set_result(reason)
                await self._closing.wait()

    async def _connected(self, lost: asyncio.Future[str], limit: asyncio.Timeout) -> None:
        with foreign_code():
            client = _client_class()(self._server)
        async with client:
            connection, tools, cursor = _Connection(client, lost), [], None
            while True:
                page = await client.list_tools(cursor=cursor)
                tools += page.tools
                cursor = page.next_cursor
                if not cursor:
                    break
            limit.reschedule(None)  # from here on each call has its own timeout
            self._ready.set_result(
                [
                    Tool.from_mcp_tool(connection, tool, result_mode=self._result_mode, timeout=self._timeout)
                    for tool in tools
                ]
            )
            await self._closing.wait()
            lost.set_result("it was closed")


class _Connection:
    """A client whose calls end when the connection does."""

    def __init__(self, client: Client, lost: asyncio.Future[str]) -> None:
        self._client = client
        self._lost = lost

    async def call_tool(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        call = asyncio.ensure_future(self._client.call_tool(name, arguments))
        awaited: set[asyncio.Future[Any]] = {call, self._lost}
        try:
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            call.cancel()  # no effect on a finished future
        if self._lost.done():
            raise ToolServerError(f"the connection to the MCP server is lost: {self._lost.result()}")
        return call.result()


def _first(error: BaseException) -> BaseException:
    """Return the first error in groups of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _client_class() -> type[Client]:
    try:
        with foreign_code():
            from mcp import Client  # optional and heavy
    except ImportError as error:
        raise ImportError('MCP needs version 2 of the `mcp` package: pip install "pytest-dspex[mcp]"') from error
    return Client
