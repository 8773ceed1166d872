"""The contract of a code interpreter, and running code in one as a part of a flow. PYTEST_DONT_REWRITE"""

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
    """Runs code; what one execution defines, the next ones can use.

    `tools` are the functions that the code may call by their names. Programs add to them.
    """

    @property
    def tools(self) -> dict[str, Callable[..., Any]]:
        """The functions that the code may call."""
        ...

    def start(self) -> None:
        """Get ready; `execute` does it too if need be."""
        ...

    def execute(self, code: str, variables: Mapping[str, Any] | None = None) -> Any:
        """Run code with these variables set.

        Returns:
            A `FinalOutput` if the code called `SUBMIT(...)`, else the value of its last expression, or what it
            printed if that is `None`.

        Raises:
            InterpreterError: The code failed or was stopped.
        """
        ...

    def shutdown(self) -> None:
        """End the session; what the code has defined is gone."""
        ...


@runtime_checkable
class SteppedInterpreter(CodeInterpreter, Protocol):
    """An interpreter that lets a flow wait for the code, and answer its tool calls by flows."""

    def steps(
        self,
        code: str,
        variables: Mapping[str, Any] | None = None,
        *,
        tools: Mapping[str, FlowTool] | None = None,
        output_fields: Sequence[str] | None = None,
    ) -> Flow[Execution]:
        """Run code as a part of a flow; the arguments are those of `run_code`."""
        ...


@dataclass(frozen=True, slots=True)
class FinalOutput:
    """What the code has submitted: a dict of the output fields, or what a custom interpreter makes of it."""

    output: Any


@dataclass(frozen=True, slots=True)
class Execution:
    """What one execution gave.

    Args:
        printed: What the code printed.
        value: The value of its last expression, as JSON-like data.
        final: What it submitted; `None` if it did not.
    """

    printed: str = ""
    value: Any = None
    final: FinalOutput | None = None

    @property
    def result(self) -> Any:
        """What `execute` returns of it."""
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
    """Let a flow wait for code, in any interpreter; `yield from` it.

    Args:
        interpreter: Any; one without `steps` is run as one step, and its tool calls are driven sync.
        code: The code itself, in no fence.
        variables: JSON-like values to set before it runs.
        tools: Flows that answer calls of the code, by name, in addition to `interpreter.tools`.
        output_fields: The arguments of `SUBMIT`; one without `steps` knows its own.

    Raises:
        InterpreterError: The code failed or was stopped.
    """
    if isinstance(interpreter, SteppedInterpreter):
        return (yield from interpreter.steps(code, variables, tools=tools, output_fields=output_fields))
    interpreter.tools.update({name: partial(_driven, tool) for name, tool in (tools or {}).items()})
    try:
        result = yield Call(interpreter.execute, (code, variables))
    except SyntaxError as error:  # DSPy's interpreters raise it
        raise InterpreterError(str(error), kind="syntax", exception="SyntaxError", line=error.lineno) from error
    if isinstance(result, FinalOutput):
        return Execution(final=result)
    return Execution(printed=result) if isinstance(result, str) else Execution(value=result)


def _driven(tool: FlowTool, *args: Any, **kwargs: Any) -> Any:
    return drive(tool(*args, **kwargs))
