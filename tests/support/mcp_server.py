"""An MCP server for the tests: `python mcp_server.py` over stdio, `python mcp_server.py PORT` over HTTP."""

import asyncio
import logging
import os
import sys
from typing import Any

import pydantic
from mcp.server.mcpserver import Image, MCPServer

server = MCPServer("orders", log_level="CRITICAL")


class Item(pydantic.BaseModel):
    name: str
    count: int = 1


@server.tool()
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def order(item: Item, tags: list[str] | None = None) -> dict[str, Any]:
    """Order an item."""
    return {"ordered": item.model_dump(), "tags": tags}


@server.tool()
def several() -> list[str]:
    """Return two texts."""
    return ["one", "two"]


@server.tool()
def picture() -> Image:
    """Return an image."""
    return Image(data=b"\x89PNG", format="png")


@server.tool()
def fail() -> str:
    """Fail."""
    raise ValueError("no such order")


@server.tool()
async def hang() -> str:
    """Take very long."""
    await asyncio.sleep(600)
    return "late"


@server.tool()
def pid() -> int:
    """Return the server's process id."""
    return os.getpid()


@server.tool()
def die() -> str:
    """End the server's process at once."""
    os._exit(3)


if __name__ == "__main__":
    logging.disable()
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
