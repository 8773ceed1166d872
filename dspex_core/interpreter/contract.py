"""The contract of a code interpreter, and a flow that runs code in one. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from dspex_core.errors import InterpreterError
from dspex_core.flow.steps import Call, drive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.flow.steps import Flow

    FlowTool = Callable[..., Flow[Any]]


@runtime_checkable
class CodeInterpreter(Protocol):
    """Runs code; definitions persist from one execution to the next.

    `tools` are the functions that the code may call by their names. Programs add to them.
    """

    @property
    def tools(self) -> dict[str, Callable[..., Any]]:
        """The functions that the code may call."""
        ...

    def start(self) -> None:
        """Start the interpreter; `execute` also does so if needed."""
        ...

    def execute(self, code: str, variables: Mapping[str, Any] | None = None) -> Any:
        """Run code with these variables set.

        Returns:
            A `FinalOutput` if the code called `SUBMIT(...)`, else the value of its last expression, or its printed text
            if that is `None`.

        Raises:
            InterpreterError: The code failed or was stopped.
        """
        ...

    def shutdown(self) -> None:
        """End the session and drop its definitions."""
        ...


@runtime_checkable
class SteppedInterpreter(CodeInterpreter, Protocol):
    """An interpreter that runs code as part of a flow and answers its tool calls by flows."""

    def steps(
        self,
        code: str,
        variables: Mapping[str, Any] | None = None,
        *,
        tools: Mapping[str, FlowTool] | None = None,
        output_fields: Sequence[str] | None = None,
    ) -> Flow[Execution]:
        """Run code as part of a flow; the arguments are those of `run_code`."""
        ...


@dataclass(frozen=True, slots=True)
class FinalOutput:
    """The submitted output: a dict of the output fields, or a custom interpreter's own value."""

    output: Any


@dataclass(frozen=True, slots=True)
class Execution:
    """The result of one execution.

    Args:
        printed: The printed text.
        value: The value of its last expression, as JSON-like data.
        final: The submitted output; `None` without one.
    """

    printed: str = ""
    value: Any = None
    final: FinalOutput | None = None

    @property
    def result(self) -> Any:
        """The return value of `execute`."""
        if self.final is not None:
            return self.final
        return self.printed if self.value is None else self.value


def run_code(
    interpreter: CodeInterpreter,
    code: str,
    variables: Mapping[str, Any] | None = None,
    *,
    tools: Mapping[str, FlowTool] | None = None,
    output_fields: Sequence[str] | None = None,
) -> Flow[Execution]:
    """Run code in any interpreter, as part of a flow.

    Args:
        interpreter: Any interpreter; without `steps`, its code runs as one step, and its tool calls run sync.
        code: The code, without a fence.
        variables: JSON-like values to set before it runs.
        tools: Flows that answer calls of the code, by name, in addition to `interpreter.tools`.
        output_fields: The arguments of `SUBMIT`; an interpreter without `steps` uses its own.

    Raises:
        InterpreterError: The code failed or was stopped.
    """
    if isinstance(interpreter, SteppedInterpreter):
        return (yield from interpreter.steps(code, variables, tools=tools, output_fields=output_fields))
    interpreter.tools.update({name: partial(_driven, tool) for name, tool in (tools or {}).items()})
    try:
        result = yield Call(interpreter.execute, (code, variables))
    except SyntaxError as error:  # raised by DSPy's interpreters
        raise InterpreterError(str(error), kind="syntax", exception="SyntaxError", line=error.lineno) from error
    if isinstance(result, FinalOutput):
        return Execution(final=result)
    return Execution(printed=result) if isinstance(result, str) else Execution(value=result)


def _driven(tool: FlowTool, *args: Any, **kwargs: Any) -> Any:
    return drive(tool(*args, **kwargs))
