"""Tools: functions that a model may ask to call. PYTEST_DONT_REWRITE"""

from typing import TYPE_CHECKING

from dspex_core.dspy_paths import submodules

if TYPE_CHECKING:
    from dspex_core.tools.mcp_server import MCPTools
    from dspex_core.tools.registry import ToolRegistry
    from dspex_core.tools.tool import Tool, as_tool, stored_tools

__all__ = ["MCPTools", "Tool", "ToolRegistry", "as_tool", "stored_tools"]

if not TYPE_CHECKING:  # type checkers take the imports above
    __getattr__ = submodules(
        __name__,
        MCPTools="mcp_server",
        Tool="tool",
        ToolRegistry="registry",
        as_tool="tool",
        stored_tools="tool",
    )
