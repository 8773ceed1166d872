"""Tools: functions that a model may ask to call. PYTEST_DONT_REWRITE"""

from dspex_core.tools.mcp_server import MCPTools
from dspex_core.tools.registry import ToolRegistry
from dspex_core.tools.tool import Tool, as_tool, stored_tools

__all__ = ["MCPTools", "Tool", "ToolRegistry", "as_tool", "stored_tools"]
