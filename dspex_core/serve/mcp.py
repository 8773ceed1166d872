"""Served programs as tools of the Model Context Protocol. PYTEST_DONT_REWRITE

A program is a tool of its name; its arguments and its structured result are the inputs and the outputs. A
`ServiceError` is an error of the tool, whose `_meta` holds the error as JSON data. A client that asks for progress gets
the pieces of outputs while they are written.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ServiceError
from dspex_core.errors.foreign_code import foreign_code

try:
    with foreign_code():
        from mcp import MCPError, types
        from mcp.server.lowlevel import Server
        from mcp.server.stdio import stdio_server
except ImportError as error:
    raise ImportError('MCP needs version 2 of the `mcp` package: pip install "pytest-dspex[mcp]"') from error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import fastapi
    from mcp.server.context import ServerRequestContext

    from dspex_core.serve.interface import JSONObject, Piece, ServedProgram
    from dspex_core.serve.service import Service

ERROR_KEY = "dspex/error"  # where a result has the error as JSON data
_PATH = "/mcp"


def mcp_server(service: Service) -> Server[Any]:
    """Return the MCP server of a service's programs, for any transport. The service is started by the first call."""
    tools = _Tools(service)
    with foreign_code():
        return Server(
            "dspex", version=version("pytest-dspex"), on_list_tools=tools.list_tools, on_call_tool=tools.call_tool
        )


async def serve_stdio(service: Service, descriptors: tuple[int, int] | None = None) -> None:
    """Serve one client over stdin and stdout until it closes them; then let the service end.

    Args:
        service: The programs.
        descriptors: What to read and to write in the place of stdin and stdout; see `own_stdio`.

    Raises:
        ServiceError: A program cannot be run.
    """
    await service.start()
    server = mcp_server(service)
    try:
        async with stdio_server(*_files(descriptors)) as (reader, writer):
            await server.run(reader, writer, server.create_initialization_options())
    finally:
        await service.drain()


@contextmanager
def own_stdio() -> Iterator[tuple[int, int]]:
    """Keep stdin and stdout for the protocol: in a block, the program prints to stderr, and reads nothing.

    The block begins before the program is imported, which may print, too.
    """
    reads, writes = os.dup(0), os.dup(1)
    empty = os.open(os.devnull, os.O_RDONLY)
    sys.stdout.flush()
    os.dup2(empty, 0)
    os.dup2(2, 1)
    os.close(empty)
    try:
        yield reads, writes
    finally:
        sys.stdout.flush()
        os.dup2(reads, 0)
        os.dup2(writes, 1)
        os.close(reads)
        os.close(writes)


def add_mcp(app: fastapi.FastAPI, service: Service) -> None:
    """Let the HTTP app of a service answer MCP's streamable HTTP at `/mcp`, too.

    The app's guard asks for the token there as elsewhere. There are no sessions, so any instance of a service can
    answer any request.
    """
    with foreign_code():
        from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
        from starlette.routing import Route  # only where an app is

        manager = StreamableHTTPSessionManager(
            app=mcp_server(service), stateless=True, max_request_body_size=service.options.max_body
        )
        app.router.routes.append(Route(_PATH, StreamableHTTPASGIApp(manager)))
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        async with inner(app) as state, manager.run():
            yield state

    app.router.lifespan_context = lifespan


class _Tools:
    """The tools of a service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._names = {backend.program.name for backend in service}

    async def list_tools(self, context: ServerRequestContext[Any], params: Any) -> types.ListToolsResult:
        """Return the programs as tools."""
        return types.ListToolsResult(tools=[_tool(backend.program) for backend in self._service])

    async def call_tool(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Run a program.

        Raises:
            MCPError: There is no program of this name.
        """
        if params.name not in self._names:
            message = f"there is no tool {params.name!r}; there are: {', '.join(sorted(self._names))}"
            raise MCPError(types.INVALID_PARAMS, message)
        wants_progress = "progress_token" in (context.meta or {})
        progress = _Progress(context) if wants_progress else None
        try:
            outputs = await self._outputs(params, progress)
        except ServiceError as error:
            return _failed(error)
        return types.CallToolResult(content=[_text(outputs)], structured_content=dict(outputs))

    async def _outputs(self, params: types.CallToolRequestParams, progress: _Progress | None) -> JSONObject:
        inputs = params.arguments or {}
        if progress is None:
            return await self._service.call(params.name, inputs)
        async with progress:
            return await self._service.call(params.name, inputs, progress.add)


class _Progress:
    """Reports the pieces of outputs as progress: the message is text, the number how many characters there are.

    While the client does not read, pieces grow together.
    """

    def __init__(self, context: ServerRequestContext[Any]) -> None:
        self._session = context.session
        self._text = ""
        self._characters = 0
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._report())

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        if kind is None:
            await self._send()

    def add(self, piece: Piece) -> None:
        """Take a piece."""
        self._text += f"\n{piece.field} is now: {piece.delta}" if piece.replaces else piece.delta
        self._arrived.set()

    async def _report(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._send()

    async def _send(self) -> None:
        if self._text:
            text, self._text = self._text, ""
            self._characters += len(text)
            await self._session.report_progress(self._characters, message=text)


def _tool(program: ServedProgram) -> types.Tool:
    return types.Tool(
        name=program.name,
        description=program.description or None,
        input_schema=dict(program.input_schema),
        output_schema=dict(program.output_schema),
    )


def _failed(error: ServiceError) -> types.CallToolResult:
    known = error.to_json()["error"]
    text = types.TextContent(type="text", text=f"{error.code}: {error.reason}")
    return types.CallToolResult(content=[text], is_error=True, _meta={ERROR_KEY: known})


def _text(outputs: JSONObject) -> types.TextContent:
    return types.TextContent(type="text", text=json.dumps(outputs, ensure_ascii=False))


def _files(descriptors: tuple[int, int] | None) -> tuple[Any, ...]:
    if descriptors is None:
        return ()
    with foreign_code():
        import anyio  # comes with mcp

    reads, writes = descriptors
    return (
        anyio.wrap_file(open(reads, encoding="utf-8", errors="replace", closefd=False)),
        anyio.wrap_file(open(writes, "w", encoding="utf-8", closefd=False)),
    )
