"""Tools: functions that a model may ask to call. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import AsyncGeneratorType, FunctionType, GeneratorType
from typing import TYPE_CHECKING, Any, Self

from dspex_core.errors import ArtifactError, ConfigurationError, ToolArgumentsError, ToolExecutionError
from dspex_core.messages import FunctionSpec
from dspex_core.plain.display import error_text
from dspex_core.plain.prompt_values import FunctionTool
from dspex_core.telemetry.spans import span
from dspex_core.tools.sources import source_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from langchain_core.tools import BaseTool
    from mcp import types as mcp_types
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic_core import CoreSchema

    from dspex_core.flow.steps import Flow
    from dspex_core.tools.execution import Invocation, Outcome
    from dspex_core.tools.mcp import MCPSession, ResultMode
    from dspex_core.tools.sources import Source


class Tool(FunctionTool):
    """A function that a model may ask to call, with its description for the model.

        def search(query: str, limit: int = 3) -> list[str]:
            \"\"\"Find pages that say something about the query.\"\"\"

        tool = Tool(search)
        tool(query="otters")
        await tool.acall(query="otters", limit="5")

    It is made of a function (sync or async), a method, a callable object, a `functools.partial`; of a pydantic model,
    whose fields are then the arguments and whose instance is the result; or of a program. Arguments are validated by
    pydantic's lax rules: `"5"` becomes an `int`, and a nested model an instance.

    Args:
        func: The function, model or program.
        name: Its name, by default the function's.
        desc: Its description, by default the docstring.
        args: The JSON schema of each argument by name, instead of those from the type hints.
        arg_types: The types of arguments by name, over the type hints.
        arg_desc: Descriptions of arguments by name.
        timeout: Seconds that a call may take. An async call is then cancelled. A sync call cannot be cancelled: it is
            abandoned in its thread, which ends with the process, and its result is lost.

    Raises on a call:
        ToolArgumentsError: The arguments are invalid; it is also a `ValueError`.
        ToolExecutionError: The call timed out, or the tool is async and an event loop runs in this thread. Exceptions
            of the function itself propagate unchanged.
    """

    def __init__(
        self,
        func: Any,
        name: str | None = None,
        desc: str | None = None,
        args: Mapping[str, Mapping[str, Any]] | None = None,
        arg_types: Mapping[str, Any] | None = None,
        arg_desc: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
    ) -> None:
        source = source_of(func)
        if not (name or source.name):
            raise ConfigurationError(f"{func!r} has no name that a model could use: give one with name=...")
        arguments = source.arguments
        if args is not None or arg_types or arg_desc:
            arguments = arguments.with_given(args, arg_types, arg_desc)
        self.func = func
        self.timeout = timeout
        self._source = replace(
            source,
            name=name or source.name,
            desc=source.desc if desc is None else desc,
            arguments=arguments,
        )

    @classmethod
    def from_mcp_tool(
        cls,
        session: MCPSession,
        tool: mcp_types.Tool,
        *,
        result_mode: ResultMode = "text",
        timeout: float | None = None,
    ) -> Self:
        """Make a tool of a tool of an MCP server.

        Its calls run in the session's event loop: the one that runs when this is called. Programs in other threads may
        call it sync; in the loop's own thread only `acall` works.

        Args:
            session: The connection: a `ClientSession`, or a `Client` of the `mcp` package's version 2.
            tool: A tool from `list_tools`.
            result_mode: `"text"` returns the text (a list of several texts; without text, the other content),
                `"structured"` the structured content if the server sends it.
            timeout: Seconds that a call may take.
        """
        from dspex_core.tools.mcp import mcp_source  # its library is optional

        return cls(mcp_source(session, tool, result_mode), timeout=timeout)

    @classmethod
    def from_langchain(cls, tool: BaseTool, *, timeout: float | None = None) -> Self:
        """Make a tool of a LangChain tool."""
        from dspex_core.tools.langchain import langchain_source  # its library is optional

        return cls(langchain_source(tool), timeout=timeout)

    @property
    def name(self) -> str:
        """Its name for the model."""
        assert self._source.name is not None
        return self._source.name

    @property
    def desc(self) -> str:
        """Its description for the model."""
        return self._source.desc

    @property
    def args(self) -> dict[str, Any]:
        """The JSON schema of each argument by name."""
        return dict(self._source.arguments.schemas)

    @property
    def arg_types(self) -> dict[str, Any]:
        """The type of each argument by name."""
        return dict(self._source.arguments.types)

    @property
    def arg_desc(self) -> dict[str, str] | None:
        """The descriptions of arguments by name; `None` if no argument has one."""
        schemas = self._source.arguments.schemas
        return {name: schema["description"] for name, schema in schemas.items() if "description" in schema} or None

    @property
    def has_kwargs(self) -> bool:
        """Whether it accepts arguments of any other name."""
        return self._source.arguments.is_open

    def spec(self) -> FunctionSpec:
        """Return its description for a request."""
        return FunctionSpec(self.name, self.desc, self._source.arguments.parameters)

    def format_as_litellm_function_call(self) -> dict[str, Any]:
        """Return its description in OpenAI's form."""
        return self.spec().to_json()

    def format(self) -> str:
        """Describe the tool for a prompt, in one line."""
        words = " ".join(self.desc.split()).rstrip(".")
        return f"{self.name}: {words and f'{words}. '}Arguments: {self._source.arguments.text()}"

    def __call__(self, /, **args: Any) -> Any:
        """Call the tool and return its result; an async tool runs in a new event loop."""
        return _Calling(self, self._source, args).run()

    async def acall(self, /, **args: Any) -> Any:
        """Call the tool without blocking the event loop; a sync tool runs in a thread."""
        return await _Calling(self, self._source, args).arun()

    def steps(self, args: Mapping[str, Any]) -> Flow[Any]:
        """Call the tool as part of a flow, as an agent does: `result = yield from tool.steps(args)`.

        Raises:
            ToolExecutionError: The call failed; a raised exception is the cause.
        """
        return (yield _Calling(self, self._source, args, wraps=True))

    def __repr__(self) -> str:
        return f"Tool(name={self.name!r}, desc={self.desc!r}, args={self.args!r})"

    def __str__(self) -> str:
        return self.format()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # copies of programs share their tools

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # pydantic, which calls this, is loaded

        text = core_schema.to_string_ser_schema()
        return core_schema.no_info_plain_validator_function(as_tool, serialization=text)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "tool"}


def as_tool(value: Any) -> Tool:
    """Return a tool as it is, or make one of a function, a model or a program.

    Raises:
        ConfigurationError: `tool` cannot be made into a tool.
    """
    return value if isinstance(value, Tool) else Tool(value)


def stored_tools(tools: Iterable[Tool]) -> list[Any]:
    """Return the functions of tools, for the file of a whole program.

    Raises:
        ArtifactError: A tool is not a plain function.
    """
    functions = []
    for tool in tools:
        func, name = tool.func, tool.name
        is_plain = isinstance(func, FunctionType) and name == func.__name__ and tool.timeout is None
        if not is_plain or str(tool) != str(Tool(func, name)):
            raise ArtifactError(f"the tool {name!r} cannot be stored: use a function of a module as it is")
        functions.append(func)
    return functions


@dataclass(frozen=True, slots=True)
class _Calling:
    """The step of calling a tool; with `wraps`, every failure becomes a `ToolExecutionError`."""

    tool: Tool
    source: Source
    args: Mapping[str, Any]
    wraps: bool = False

    def run(self) -> Any:
        with self._span() as attributes:
            attributes["result"] = result = self._result(self._checked().run(self.tool.timeout))
        return result

    async def arun(self) -> Any:
        with self._span() as attributes:
            attributes["result"] = result = self._result(await self._checked().arun(self.tool.timeout))
        return result

    def _span(self) -> AbstractContextManager[dict[str, Any]]:
        return span("tool", {"instance": self.tool, "inputs": self.args})

    def _checked(self) -> Invocation:
        try:
            checked = self.source.arguments.validated(self.args)
        except ValueError as error:
            raise ToolArgumentsError(self.tool.name, self.args, str(error)) from None
        return self.source.invocation(checked)

    def _result(self, outcome: Outcome) -> Any:
        error = outcome.error
        if error is None and not (self.wraps and isinstance(outcome.result, GeneratorType | AsyncGeneratorType)):
            return outcome.result
        if error is None:
            reason = "it returned a generator, whose code has not run: the function must return its values, as a list"
            raise ToolExecutionError(self.tool.name, self.args, reason)
        if outcome.kind != "raised":
            raise ToolExecutionError(self.tool.name, self.args, str(error), kind=outcome.kind)
        if self.wraps:
            raise ToolExecutionError(self.tool.name, self.args, error_text(error)) from error
        raise error
