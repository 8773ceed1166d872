"""DSPy's `dspy.utils.mcp`: tools of MCP servers. PYTEST_DONT_REWRITE"""

from dspex_core.tools import Tool

__all__ = ["convert_mcp_tool"]

convert_mcp_tool = Tool.from_mcp_tool
