"""DSPy's `dspy.adapters.types.tool`: tools and their calls. PYTEST_DONT_REWRITE"""

from dspex_core.tools import Tool
from dspex_core.tools.arguments import convert_input_schema_to_tool_args
from dspex_core.types import ToolCallResults, ToolCalls

__all__ = ["Tool", "ToolCallResults", "ToolCalls", "convert_input_schema_to_tool_args"]
