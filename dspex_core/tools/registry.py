"""A registry of tools by name, with scopes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from dspex_core.errors import ConfigurationError, ToolExecutionError
from dspex_core.plain.reading.called_names import called_name
from dspex_core.tools.tool import Tool, as_tool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dspex_core.flow.steps import Flow

T = TypeVar("T")


class ToolRegistry:
    """The tools that an agent may call, by name. Threads and tasks may share it.

        tools = ToolRegistry([search, Tool(order, timeout=10)])

        @tools.register
        def refund(order_id: str) -> str: ...

        with tools.scope() as session:  # includes those of `tools`
            session.register(Tool.from_mcp_tool(connection, tool))
            ReAct("question -> answer", tools=session)(question="...")

    Args:
        tools: Tools, or functions, models and programs to make them of.
        parent: A registry whose tools are included, unless a tool here has the same name.
    """

    def __init__(self, tools: Iterable[Any] = (), *, parent: ToolRegistry | None = None) -> None:
        self._tools: dict[str, Tool] = {}
        self._parent = parent
        if callable(tools) or isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
            message = f"tools are given as a list, not as {tools!r}; Tool(function, name=...) gives one another name"
            raise ConfigurationError(message)
        for tool in tools:
            self.register(tool)

    def register(self, tool: T) -> T:
        """Add a tool, or a function, model or program as one, and return it unchanged; works as a decorator.

        Raises:
            ConfigurationError: The name is taken here, or `tool` cannot be a tool.
        """
        made = as_tool(tool)
        if self._tools.setdefault(made.name, made) is not made:  # one step, so no lock is needed
            message = (
                f"the tool {made.name!r} exists already; give this one another name: Tool({made.func!r}, name=...)"
            )
            raise ConfigurationError(message)
        return tool

    @contextmanager
    def scope(self) -> Iterator[ToolRegistry]:
        """Open a registry that includes these tools; its own tools end with the block."""
        inner = ToolRegistry(parent=self)
        try:
            yield inner
        finally:
            inner._tools.clear()

    def get(self, name: str) -> Tool:
        """Return the tool of a name.

        Raises:
            ToolExecutionError: The name is unknown; the reason lists the known ones.
        """
        return self._found(name, {})

    def steps(self, name: str, args: Mapping[str, Any]) -> Flow[Any]:
        """Call a tool by name as part of a flow: `result = yield from tools.steps(name, args)`.

        Raises:
            ToolExecutionError: The name is unknown, or the call returned no result.
        """
        return (yield from self._found(name, args).steps(args))

    def __iter__(self) -> Iterator[Tool]:
        """Iterate over the current tools, those of the parent first."""
        return iter(self._all().values())

    def __len__(self) -> int:
        return len(self._all())

    def __contains__(self, name: object) -> bool:
        return name in self._all()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # like tools: copies of programs share it

    def __repr__(self) -> str:
        return f"ToolRegistry({', '.join(self._all())})"

    def _all(self) -> dict[str, Tool]:
        inherited = self._parent._all() if self._parent else {}  # noqa: SLF001  own class
        return {**inherited, **self._tools}

    def _found(self, name: str, args: Mapping[str, Any]) -> Tool:
        tools = self._all()
        meant = called_name(name, tools)
        if meant in tools:
            return tools[meant]
        similar = difflib.get_close_matches(name, tools, n=1)
        hint = f"; did you mean {similar[0]!r}?" if similar else "."
        reason = f"there is no such tool{hint} There are: {', '.join(tools) or 'none'}"
        raise ToolExecutionError(name, args, reason, kind="unknown_tool")
