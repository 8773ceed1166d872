"""Tools of LangChain. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code

with foreign_code():
    from langchain_core.tools import StructuredTool

from dspex_core.tools.arguments import of_model, of_schema
from dspex_core.tools.execution import Invocation
from dspex_core.tools.sources import Source

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool


def langchain_source(tool: BaseTool) -> Source:
    """Return the source of a LangChain tool, which also validates its arguments itself."""
    schema: Any = tool.tool_call_schema
    arguments = of_schema(schema) if isinstance(schema, Mapping) else of_model(schema)
    return Source(tool.name, tool.description, arguments, partial(_invocation, tool))


def _invocation(tool: BaseTool, args: Any) -> Invocation:
    given = args if isinstance(args, dict) else {name: getattr(args, name) for name in args.model_fields_set}
    acall = partial(tool.ainvoke, given)
    is_async = isinstance(tool, StructuredTool) and tool.func is None
    return Invocation(acall=acall) if is_async else Invocation(partial(tool.invoke, given), acall)
