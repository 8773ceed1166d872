"""Failures of the sandbox, as InterpreterErrors. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import tokenize
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING

from dspex_core.errors import CodeExecutionError, InterpreterError
from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from pydantic_monty import Frame, MontyError, ResourceLimits

    from dspex_core.errors import InterpreterLimit

_OS = re.compile(r"\bos\b")
_WITH_TOOLS = 10  # the timeout with tools, as a multiple of `timeout`: ends endless loops over tools


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one execution: own seconds, bytes, recursion depth, characters of output."""

    timeout: float
    max_memory: int
    max_recursion_depth: int
    max_output: int

    def of_sandbox(self) -> ResourceLimits:
        """Return the limits that the sandbox itself enforces."""
        return {
            "max_feed_duration_secs": self.timeout,
            "max_memory": self.max_memory,
            "max_recursion_depth": self.max_recursion_depth,
            "max_suspensions": 10**9,  # limits tool calls per session; tools have their own limits
        }

    def out_of_time(self, own: float, of_tools: float = 0.0, *, printed: str) -> InterpreterError | None:
        """Return the error of an execution that has exceeded its time over all turns, or `None`."""
        if own <= self.timeout and own + of_tools <= self.timeout * _WITH_TOOLS:
            return None
        message = self.message("time")
        if own <= self.timeout:
            message = (
                f"the code called tools for longer than {self.timeout * _WITH_TOOLS:g} s ({_WITH_TOOLS} x timeout)"
            )
        return InterpreterError(message, kind="limit", limit="time", printed=printed, state_lost=True)

    def reached(self, error: BaseException) -> InterpreterLimit | None:
        """Return the limit that an exception of the sandbox reports."""
        text = str(error)
        if isinstance(error, TimeoutError) and text.startswith("feed time limit"):
            return "time"
        if isinstance(error, MemoryError) and "memory limit" in text:
            return "memory"
        if isinstance(error, RecursionError) and text.startswith("maximum recursion depth"):
            return "recursion"
        return None

    def message(self, limit: InterpreterLimit) -> str:
        """Return a message that names the limit reached and the argument that raises it."""
        return {
            "time": f"the code ran longer than {self.timeout:g} s (timeout)",
            "memory": f"the code needed more than {self.max_memory:,} bytes of memory (max_memory)",
            "recursion": f"calls went deeper than {self.max_recursion_depth:,} levels (max_recursion_depth)",
        }[limit]


def crashed(error: Exception, *, printed: str = "") -> InterpreterError:
    """Return the error of a sandbox that ended or could not start."""
    return InterpreterError(f"the sandbox failed: {error}", kind="crash", printed=printed, state_lost=True)


def raised(error: MontyError, limits: Limits, *, printed: str, session_ended: bool) -> InterpreterError:
    """Return the error of the code that the sandbox reported."""
    with foreign_code():
        from pydantic_monty import MontyCrashedError, MontyRuntimeError, MontySyntaxError  # loaded by then

    if isinstance(error, MontyCrashedError) and error.timed_out:
        return InterpreterError(limits.message("time"), kind="limit", limit="time", printed=printed, state_lost=True)
    if not isinstance(error, MontyRuntimeError | MontySyntaxError):
        return crashed(error, printed=printed)
    exception, frames = error.exception(), error.traceback()
    limit = limits.reached(exception)
    # A syntax error has a position, but no running function.
    unread = isinstance(exception, SyntaxError | NotImplementedError) and not any(f.function_name for f in frames)
    kind = InterpreterError if limit else CodeExecutionError
    return kind(
        limits.message(limit) if limit else error.display("type-msg"),
        kind="limit" if limit else "syntax" if unread else "exception",
        exception=type(exception).__name__,
        line=_line(frames),
        traceback=error.display(),
        limit=limit,
        printed=printed,
        state_lost=session_ended or limit in {"time", "memory"},
    )


def _line(frames: list[Frame]) -> int | None:
    """Return the innermost line in this code, not in definitions of earlier executions."""
    own = [frame.line for frame in frames if frame.filename == frames[0].filename]
    return own[-1] if own else None


def refuse_os(code: str) -> None:
    """Raise for code that imports `os`.

    The sandbox has an empty module of that name. Code that imports it wants files, processes or the environment, so it
    fails at once, before any of it runs.
    """
    line = _os_import(code) if _OS.search(code) else None
    if line is not None:
        message = "ImportError: there is no module 'os' here: no files, processes or environment"
        raise CodeExecutionError(message, kind="exception", exception="ImportError", line=line)


def _os_import(code: str) -> int | None:
    try:
        tokens = list(tokenize.generate_tokens(StringIO(code).readline))
    except (tokenize.TokenError, SyntaxError):  # the sandbox's own error is better
        return None
    importing, previous = False, ""
    for token in tokens:
        if token.string == "os" and (previous in {"import", "from"} or (importing and previous == ",")):
            return token.start[0]
        if token.string == "import":
            importing = True
        elif token.type == tokenize.NEWLINE or token.string == ";":
            importing = False
        previous = token.string
    return None
