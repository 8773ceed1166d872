"""Failed tools, and code that failed. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors.base import DSPexError

if TYPE_CHECKING:
    from collections.abc import Mapping

InterpreterErrorKind = Literal["syntax", "exception", "limit", "crash", "usage"]
InterpreterLimit = Literal["time", "memory", "recursion", "output"]
ToolErrorKind = Literal["unknown_tool", "arguments", "raised", "timeout", "needs_async"]


class ToolExecutionError(DSPexError):
    """A failed call of a tool; the tool's own exception is its cause.

    Args:
        tool: The tool's name.
        args: The arguments that it was called with.
        reason: What went wrong, in words for the model that asked for the call.
        kind: `"unknown_tool"`, `"arguments"` (they do not fit), `"raised"` (the tool did), `"timeout"`, or
            `"needs_async"` (it cannot be waited for in this thread).
    """

    def __init__(self, tool: str, args: Mapping[str, Any], reason: str, *, kind: ToolErrorKind = "raised") -> None:
        super().__init__(f"{tool}: {reason}")
        self.tool = tool
        self.reason = reason
        self.kind = kind
        self.arguments = dict(args)

    @property
    def args(self) -> dict[str, Any]:  # type: ignore[override]  # what a tool takes is called so everywhere
        """The arguments that the tool was called with, as `arguments`."""
        return self.arguments


class ToolArgumentsError(ToolExecutionError, ValueError):
    """Arguments that are not what the tool takes; the reason lists each."""

    def __init__(self, tool: str, args: Mapping[str, Any], reason: str) -> None:
        super().__init__(tool, args, reason, kind="arguments")


class InterpreterError(DSPexError, RuntimeError):
    """Code that an interpreter could not run to its end.

    Args:
        message: What went wrong.
        kind: `"syntax"`: the code cannot be read, so none of it has run. `"exception"`: it raised one.
            `"limit"`: it reached a limit. `"crash"`: the interpreter's process ended, or did not start.
            `"usage"`: the caller's mistake, such as a variable that cannot be passed.
        exception: The class of the exception that ended the code, such as `"ZeroDivisionError"`.
        line: The line of the code, from 1.
        traceback: The code's traceback, as text.
        limit: Which limit: `"time"`, `"memory"`, `"recursion"` or `"output"`.
        printed: What the code had printed before.
        state_lost: Whether what earlier executions defined is gone.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: InterpreterErrorKind = "exception",
        exception: str | None = None,
        line: int | None = None,
        traceback: str = "",
        limit: InterpreterLimit | None = None,
        printed: str = "",
        state_lost: bool = False,
    ) -> None:
        self.message = message
        self.kind = kind
        self.exception = exception
        self.line = line
        self.traceback = traceback
        self.limit = limit
        self.printed = printed
        self.state_lost = state_lost
        where = f" (line {line})" if line else ""
        lost = "; all variables are lost, and the next execution starts afresh" if state_lost else ""
        super().__init__(f"{message}{where}{lost}")


class CodeExecutionError(InterpreterError):
    """Code that raised an exception, or that could not be read."""


class ToolServerError(DSPexError, ConnectionError):
    """A server of tools that cannot be reached, or that has gone."""
