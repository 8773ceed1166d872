"""Tools of MCP servers. PYTEST_DONT_REWRITE"""

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
    """The part of a connection to an MCP server that tools use."""

    async def call_tool(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        """Call one of the server's tools."""


def mcp_source(session: MCPSession, tool: types.Tool, result_mode: ResultMode) -> Source:
    """Return the source of a server's tool; its calls run in the current event loop, if there is one.

    Raises:
        ConfigurationError: `result_mode` is unknown.
    """
    if result_mode not in ("text", "structured"):
        raise ConfigurationError(f"result_mode must be 'text' or 'structured', not {result_mode!r}")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        loop = None

    async def call(args: dict[str, Any]) -> Any:
        result = await session.call_tool(tool.name, args)
        return _read(result.model_dump(by_alias=True, exclude_unset=True), result_mode)

    # Attribute names differ between versions of the package; the wire format does not.
    arguments = of_schema(tool.model_dump(by_alias=True)["inputSchema"])
    return Source(
        tool.name, tool.description or "", arguments, lambda args: Invocation(acall=partial(call, args), loop=loop)
    )


def _read(result: dict[str, Any], mode: ResultMode) -> Any:
    """Return the result of a call.

    Raises:
        RuntimeError: The server reports that the tool failed.
    """
    contents = result.get("content", [])
    texts = [part["text"] for part in contents if part["type"] == "text"]
    if result.get("isError"):
        raise RuntimeError("\n".join(texts) or "the server says that it failed, and not why")
    if mode == "structured" and "structuredContent" in result:
        return result["structuredContent"]
    return texts[0] if len(texts) == 1 else texts or contents
