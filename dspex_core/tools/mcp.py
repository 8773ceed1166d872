"""What a tool of an MCP server is made of. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

from dspex_core.errors import ConfigurationError
from dspex_core.tools.arguments import of_schema
from dspex_core.tools.execution import Invocation
from dspex_core.tools.sources import Source

if TYPE_CHECKING:
    from mcp import types

ResultMode = Literal["text", "structured"]


class MCPSession(Protocol):
    """What is needed of a connection to an MCP server."""

    async def call_tool(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Call one of the server's tools."""


def mcp_source(session: MCPSession, tool: types.Tool, result_mode: ResultMode) -> Source:
    """Return what a tool of a server is; its calls run in the event loop that runs now, if one does.

    Raises:
        ConfigurationError: There is no such mode.
    """
    if result_mode not in ("text", "structured"):
        raise ConfigurationError(f"the result of an MCP tool is 'text' or 'structured', not {result_mode!r}")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None

    async def call(args: dict[str, Any]) -> Any:
        result = await session.call_tool(tool.name, args)
        return _read(result.model_dump(by_alias=True, exclude_unset=True), result_mode)

    # Attributes have other names in the versions of the package, what goes over the wire has not.
    arguments = of_schema(tool.model_dump(by_alias=True)["inputSchema"])
    return Source(
        tool.name, tool.description or "", arguments, lambda args: Invocation(acall=partial(call, args), loop=loop)
    )


def _read(result: dict[str, Any], mode: ResultMode) -> Any:
    """Return what a call brought.

    Raises:
        RuntimeError: The server says that the tool failed.
    """
    contents = result.get("content", [])
    texts = [part["text"] for part in contents if part["type"] == "text"]
    if result.get("isError"):
        raise RuntimeError("\n".join(texts) or "the server says that it failed, and not why")
    if mode == "structured" and "structuredContent" in result:
        return result["structuredContent"]
    return texts[0] if len(texts) == 1 else texts or contents
