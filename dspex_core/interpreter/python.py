"""The default interpreter: Python in a sandbox, in a subprocess. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Any, ClassVar, Self

from dspex_core.errors import InterpreterError
from dspex_core.flow.steps import Call, adrive, drive
from dspex_core.interpreter.contract import Execution, FinalOutput
from dspex_core.interpreter.failures import Limits, refuse_os
from dspex_core.interpreter.sandbox import Sandbox, ToolCall
from dspex_core.interpreter.values import exception_in, tool_result_in, variables_in
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pydantic_monty import ExternalResult

    from dspex_core.flow.steps import Flow
    from dspex_core.interpreter.contract import FlowTool
    from dspex_core.telemetry.callbacks import BaseCallback
    from dspex_core.types.code import Code

_SUBMIT = "SUBMIT"
_MEBIBYTE = 2**20


class PythonInterpreter:
    """Runs Python that a model wrote: a sandbox with no files, no network, no `os`, and limits.

        with PythonInterpreter(tools={"search": search}) as interpreter:
            interpreter.execute("found = search('a lamp')")
            interpreter.execute("len(found)")

    Definitions persist from one execution to the next. One execution runs at a time. The sandbox (Monty) supports a
    part of Python, described in `execution_instructions` for models. It runs in a subprocess, which ends with this
    process.

    Args:
        tools: Functions, sync or async, that the code may call by these names. Their exceptions are raised in the code.
        output_fields: The names that `SUBMIT` takes (or DSPy's dicts with a `"name"`), as arguments or in one dict; by
            default it takes one value, which becomes `{"output": value}`.
        timeout: Seconds that the code of one execution may run, without the time of its tools. After ten times as long
            with tools, no more tools are called.
        max_memory: Bytes that the code's values may take.
        max_recursion_depth: How deep calls may go.
        max_output: The limit in characters for the printed text of one execution, and for its value.
        callbacks: Receive events of each execution; see `BaseCallback`.
    """

    execution_instructions: ClassVar[str] = (
        "The code runs in a sandbox that knows the core of Python: functions, comprehensions, f-strings, try, "
        "dataclasses and plain classes, but no inheritance, no `del` and no `yield`. Of the modules it has asyncio, "
        "base64, bisect, collections, copy, csv, dataclasses, datetime, decimal, functools, hashlib, itertools, json, "
        "math, random, re, time, typing and unicodedata; no others can be imported or installed. There are no files, "
        "no network, no input and no environment. Call the given functions directly or in a loop or comprehension, "
        "without `await`, and not through `map` or `sorted`. What the code defines stays for the next execution."
    )

    def __init__(
        self,
        *,
        tools: Mapping[str, Callable[..., Any]] | None = None,
        output_fields: Sequence[str | Mapping[str, Any]] | None = None,
        timeout: float = 30.0,
        max_memory: int = 256 * _MEBIBYTE,
        max_recursion_depth: int = 1000,
        max_output: int = 1_000_000,
        callbacks: Sequence[BaseCallback] = (),
    ) -> None:
        self.tools: dict[str, Callable[..., Any]] = dict(tools or {})
        self.output_fields = output_fields
        self.callbacks = tuple(callbacks)
        self._limits = Limits(timeout, max_memory, max_recursion_depth, max_output)
        self._sandbox = Sandbox(self._limits)
        self._in_use = threading.Lock()

    def start(self) -> None:
        """Start the sandbox now, instead of with the first execution.

        Raises:
            InterpreterError: The sandbox does not start.
        """
        with span("interpreter_startup", {"instance": self, "inputs": {}}, self.callbacks):
            self._sandbox.start()

    def shutdown(self) -> None:
        """End the sandbox and drop its definitions. Code that runs in another thread is stopped."""
        with span("interpreter_shutdown", {"instance": self, "inputs": {}}, self.callbacks):
            ended, self._sandbox = self._sandbox, Sandbox(self._limits)
            ended.close()

    def execute(self, code: str | Code, variables: Mapping[str, Any] | None = None) -> Any:
        """Run code with these variables set.

        Args:
            code: The code, without a fence.
            variables: JSON-like values; models, dataclasses, dates and the like take their JSON form.

        Returns:
            A `FinalOutput` if it called `SUBMIT(...)`, else the value of its last expression as JSON-like data (other
            values as text), or its printed text if that is `None`.

        Raises:
            InterpreterError: The code failed or was stopped, or a variable cannot be passed; see `kind`.
        """
        return drive(self.steps(code, variables)).result

    async def aexecute(self, code: str | Code, variables: Mapping[str, Any] | None = None) -> Any:
        """`execute` without blocking the event loop."""
        return (await adrive(self.steps(code, variables))).result

    __call__ = execute

    def steps(
        self,
        code: str | Code,
        variables: Mapping[str, Any] | None = None,
        *,
        tools: Mapping[str, FlowTool] | None = None,
        output_fields: Sequence[str | Mapping[str, Any]] | None = None,
    ) -> Flow[Execution]:
        """Run code as part of a flow: `execution = yield from interpreter.steps(code)`.

        Args:
            code: As for `execute`.
            variables: As for `execute`.
            tools: Flows that answer calls of this code, by name; they take precedence over `self.tools`.
            output_fields: The arguments of `SUBMIT` in this code, instead of `self.output_fields`.
        """
        source = str(code)
        event = {"instance": self, "inputs": {"code": source, "variables": dict(variables or {})}}
        calls = _Calls(tools or {}, self.tools, output_fields or self.output_fields)
        with self._alone(), span("interpreter", event, self.callbacks) as attributes:
            refuse_os(source)
            try:
                execution = yield from self._run(source, variables_in(variables, calls.names), calls)
            except InterpreterError:
                raise
            except BaseException:  # the flow was closed while it waited: nothing will resume the code
                self.shutdown()
                raise
            attributes["result"] = execution.result
        return execution

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._in_use.acquire(blocking=False):
            message = "the interpreter is executing other code; give each thread, task and tool its own interpreter"
            raise InterpreterError(message, kind="usage")
        try:
            yield
        finally:
            self._in_use.release()

    def _run(self, code: str, inputs: dict[str, Any], calls: _Calls) -> Flow[Execution]:
        try:
            event = yield Call(self._sandbox.begin, (code, inputs, calls.names))
            while isinstance(event, ToolCall):
                self._sandbox.check_time(calls.seconds)
                answer = yield from calls.answer(event)
                event = yield Call(self._sandbox.resume, (answer,))
        except InterpreterError as error:
            if calls.final is not None and error.exception == SystemExit.__name__:
                return Execution(error.printed, final=calls.final)
            if calls.raised is not None and error.kind == "exception" and str(calls.raised) in error.message:
                raise error from calls.raised
            raise
        return Execution(event.printed, event.value, calls.final)


class _Calls:
    """Answers the tool calls of one execution, `SUBMIT` among them."""

    def __init__(
        self,
        flows: Mapping[str, FlowTool],
        functions: Mapping[str, Callable[..., Any]],
        output_fields: Sequence[str | Mapping[str, Any]] | None,
    ) -> None:
        fields = [field if isinstance(field, str) else field["name"] for field in output_fields or ["output"]]
        self._flows = flows
        self._functions = functions
        self._submit = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in fields])
        self.names = {_SUBMIT, *flows, *functions}
        self.final: FinalOutput | None = None
        self.raised: Exception | None = None
        self.seconds = 0.0  # of functions; a program's flows have their own limits

    def answer(self, call: ToolCall) -> Flow[ExternalResult]:
        """Make a call; an exception is also an answer, and is kept as `raised`."""
        try:
            if call.name == _SUBMIT and self.final is None:
                self.final = FinalOutput(self._submitted(call))
            if self.final is not None:
                return {"exc_type": "SystemExit"}  # `except Exception` in the code does not catch it
            if call.name in self._flows:
                value = yield from self._flows[call.name](*call.args, **call.kwargs)
            else:
                value = yield from self._called(call)
            return {"return_value": tool_result_in(value)}
        except Exception as error:  # noqa: BLE001  raised in the code that made the call
            self.raised = error
            return {"exception": exception_in(error)}

    def _called(self, call: ToolCall) -> Flow[Any]:
        began = time.monotonic()
        try:
            return (yield Call(self._functions[call.name], tuple(call.args), call.kwargs))
        finally:
            self.seconds += time.monotonic() - began

    def _submitted(self, call: ToolCall) -> dict[str, Any]:
        match call.args:
            case [dict() as outputs] if not call.kwargs and outputs.keys() == self._submit.parameters.keys():
                return outputs  # all fields in one dict, as models write it
        try:
            return dict(self._submit.bind(*call.args, **call.kwargs).arguments)
        except TypeError as error:
            raise TypeError(f"call {_SUBMIT}{self._submit}: {error}") from None
