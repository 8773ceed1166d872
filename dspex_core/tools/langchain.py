"""Tools of LangChain. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dspex_core.errors.foreign_code import foreign_code
from dspex_core.plain.display import value_text

try:
    with foreign_code():
        from langchain_core.tools import BaseTool, StructuredTool
except ImportError as error:
    raise ImportError('tools of LangChain need langchain-core: pip install "pytest-dspex[langchain]"') from error

from dspex_core.errors import ConfigurationError
from dspex_core.tools.arguments import of_model, of_schema
from dspex_core.tools.execution import Invocation
from dspex_core.tools.sources import Source


def langchain_source(tool: BaseTool) -> Source:
    """Return the source of a LangChain tool, which also validates its arguments itself.

    Raises:
        ConfigurationError: It is not a tool of LangChain.
    """
    if not isinstance(tool, BaseTool):
        raise ConfigurationError(f"from_langchain takes a tool of LangChain, not {value_text(tool, 200)}")
    schema: Any = tool.tool_call_schema
    arguments = of_schema(schema) if isinstance(schema, Mapping) else of_model(schema)
    return Source(tool.name, tool.description, arguments, partial(_invocation, tool))


def _invocation(tool: BaseTool, args: Any) -> Invocation:
    given = args if isinstance(args, dict) else {name: getattr(args, name) for name in args.model_fields_set}
    acall = partial(tool.ainvoke, given)
    is_async = isinstance(tool, StructuredTool) and tool.func is None
    return Invocation(acall=acall) if is_async else Invocation(partial(tool.invoke, given), acall)
