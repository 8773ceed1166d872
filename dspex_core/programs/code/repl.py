"""Running code that models write, and its results as text for the model. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any

from dspex_core.adapters.parse import parse_value, read_outputs
from dspex_core.adapters.shown_fields import listing
from dspex_core.errors import (
    AdapterParseError,
    ArtifactError,
    ConfigurationError,
    InterpreterError,
    SignatureError,
    ToolExecutionError,
)
from dspex_core.flow.steps import Call
from dspex_core.interpreter import CodeInterpreter, PythonInterpreter, run_code
from dspex_core.signatures.signature import MISSING
from dspex_core.tools.tool import as_tool
from dspex_core.types.observation import as_observation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from dspex_core.flow.steps import Flow
    from dspex_core.interpreter import Execution
    from dspex_core.interpreter.contract import FlowTool
    from dspex_core.signatures.signature import Signature
    from dspex_core.tools.tool import Tool

Factory = Callable[[], CodeInterpreter]

_OWN_NAMES = frozenset({"SUBMIT", "print"})


@dataclass(frozen=True, slots=True)
class Turn:
    """The result of one piece of code.

    Args:
        observation: The text that the model receives.
        outputs: The outputs that the code has submitted, as their types.
        error: Why it failed.
    """

    observation: str
    outputs: dict[str, Any] | None = None
    error: InterpreterError | None = None


class Repl:
    """Where the code of one run is executed, and what is defined there at first.

    Args:
        interpreter: It is started with the first code.
        variables: Set for the first code that can be run, and again where an interpreter has lost them.
        tools: Functions that the code may call.
        signature: Whose outputs `SUBMIT` takes; without one it takes any value, which is only shown.
    """

    def __init__(
        self,
        interpreter: CodeInterpreter,
        variables: Mapping[str, Any],
        *,
        tools: Mapping[str, FlowTool] | None = None,
        signature: type[Signature] | None = None,
    ) -> None:
        self._interpreter = interpreter
        self._variables = variables
        self._tools = tools or {}
        self._signature = signature
        self._is_started = False
        self._has_variables = False

    def run(self, code: str) -> Flow[Turn]:
        """Run code; what is wrong with it is a part of the turn.

        Raises:
            InterpreterError: The interpreter does not start, or the program has used it wrongly.
        """
        if not self._is_started:
            yield Call(self._interpreter.start)
            self._is_started = True
        try:
            execution = yield from self._execution(code)
            outputs = self._outputs(execution)
        except InterpreterError as error:
            if error.kind == "usage":
                raise
            return Turn(_failure(error), error=error)
        return Turn(_success(execution, outputs), outputs)

    def _execution(self, code: str) -> Flow[Execution]:
        if not code.strip():
            raise InterpreterError("there is no code in the reply", kind="syntax")
        variables = {} if self._has_variables else self._variables
        names = list(self._signature.output_fields) if self._signature is not None else None
        try:
            execution = yield from run_code(self._interpreter, code, variables, tools=self._tools, output_fields=names)
        except InterpreterError as error:
            # Code that was refused before any of it has run has no traceback of its own.
            has_run = error.kind != "syntax" and bool(error.traceback)
            self._has_variables = (self._has_variables or has_run) and not error.state_lost
            raise
        self._has_variables = True
        return execution

    def _outputs(self, execution: Execution) -> dict[str, Any] | None:
        """Return what was submitted, as the types of the outputs."""
        if execution.final is None or self._signature is None:
            return None
        submitted = execution.final.output
        found = _by_name(submitted, self._signature.output_fields.keys())
        try:
            return read_outputs(self._signature, found, read=parse_value, adapter_name="SUBMIT", text=repr(submitted))
        except AdapterParseError as error:
            message = f"what was submitted does not fit: {' '.join(error.problems)}"
            raise InterpreterError(message, exception="TypeError", printed=execution.printed) from error


@contextmanager
def interpreter_for_run(factory: Factory, given: CodeInterpreter | None) -> Iterator[CodeInterpreter]:
    """Provide the interpreter of one run: the caller's, or one that the factory makes and that ends with the run.

    Raises:
        TypeError: `interpreter` is not an interpreter.
    """
    interpreter = factory() if given is None else given
    if not isinstance(interpreter, CodeInterpreter):
        source = "interpreter_factory made" if given is None else "the first positional argument is"
        raise TypeError(f"{source} {interpreter!r}, which is not a CodeInterpreter; inputs are given by their names")
    if given is not None:
        yield interpreter
        return
    try:
        yield interpreter
    finally:
        interpreter.shutdown()


def checked_factory(factory: Factory) -> Factory:
    """Return a factory of interpreters.

    Raises:
        TypeError: It is none, such as an interpreter itself.
    """
    if callable(factory) and (isinstance(factory, type) or not isinstance(factory, CodeInterpreter)):
        return factory
    raise TypeError(
        f"interpreter_factory must be a function that makes an interpreter, not {factory!r}; an interpreter itself "
        "is given in the call, as the first positional argument"
    )


def stored_factory(factory: Factory) -> dict[str, Any]:
    """Return the constructor's argument for a factory; none for the default.

    Raises:
        ArtifactError: It has no name that a file could hold.
    """
    if factory is PythonInterpreter:
        return {}
    if not isinstance(factory, FunctionType):
        raise ArtifactError(f"interpreter_factory={factory!r} cannot be stored: use a function of a module")
    return {"interpreter_factory": factory}


def about_runtime(factory: Factory) -> str:
    """Return what the interpreters that a factory makes say of themselves, for a prompt."""
    while isinstance(factory, partial):
        factory = factory.func
    said = getattr(factory, "execution_instructions", "")  # a function has none
    if not isinstance(said, str):
        raise TypeError(f"execution_instructions of {factory!r} must be a text, not {said!r}")
    return said


def about_submit(signature: type[Signature]) -> str:
    """Say in a prompt how code hands over the outputs."""
    call = ", ".join(f"{name}=..." for name in signature.output_fields)
    return listing(f"The code hands its results over with `SUBMIT({call})`:", signature.output_fields.values())


def inputs_of(signature: type[Signature], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's inputs, with defaults for those that are not given.

    Raises:
        SignatureError: One is missing.
        TypeError: An interpreter is given by name.
    """
    fields = signature.input_fields
    if "interpreter" in given and "interpreter" not in fields:
        raise TypeError("an interpreter is given as the first positional argument, not by name")
    inputs = {name: given.get(name, field.default) for name, field in fields.items()}
    missing = [name for name, value in inputs.items() if value is MISSING]
    if missing:
        got = ", ".join(given) or "none by name"
        raise SignatureError(f"{signature!r} needs the input {', '.join(map(repr, missing))}; it got: {got}")
    return inputs


def tools_by_name(tools: Iterable[Any], signature: type[Signature], own: Collection[str] = ()) -> dict[str, Tool]:
    """Return the tools that code may call, by the names that it calls them by.

    Args:
        tools: Functions, or what else a `Tool` is made of.
        signature: Its inputs are names in the code, too.
        own: The functions of the program itself.

    Raises:
        TypeError: They are a mapping.
        ConfigurationError: A name is not an identifier, or is taken.
    """
    if isinstance(tools, Mapping):
        raise TypeError(f"tools must be a list, not {tools!r}; Tool(function, name=...) gives another name")
    found: dict[str, Tool] = {}
    taken = _OWN_NAMES | frozenset(own)
    for tool in map(as_tool, tools):
        if not tool.name.isidentifier() or keyword.iskeyword(tool.name):
            raise ConfigurationError(f"code cannot call {tool.name!r}: give the tool an identifier as its name")
        if tool.name in found or tool.name in taken:
            raise ConfigurationError(f"there are two functions {tool.name!r}: give the tool another name")
        found[tool.name] = tool
    clashes = [name for name in signature.input_fields if name in found or name in taken]
    if clashes:
        raise ConfigurationError(f"the input {clashes[0]!r} of {signature!r} has the name of a function of the code")
    return found


def as_flows(tools: Mapping[str, Tool], errors: list[ToolExecutionError]) -> dict[str, FlowTool]:
    """Return tools as an interpreter calls them; `errors` gets those of their calls that failed."""
    return {name: partial(_tool_call, tool, errors) for name, tool in tools.items()}


def shortened(text: str, limit: int) -> str:
    """Return the beginning and the end of a text that is longer than `limit` characters; it says what is left out."""
    if len(text) <= limit:
        return text
    end = limit // 2
    return f"{text[: limit - end]}\n[... {len(text) - limit:,} characters are left out ...]\n{text[len(text) - end :]}"


def _tool_call(tool: Tool, errors: list[ToolExecutionError], /, *args: Any, **kwargs: Any) -> Flow[Any]:
    names = list(tool.args)
    given = dict(zip(names, args, strict=False))
    twice = [name for name in given if name in kwargs]
    if twice or len(args) > len(names):
        problem = f"{twice[0]!r} is given twice" if twice else f"{len(args)} arguments are given"
        raise TypeError(f"{problem}; call {tool.name}({', '.join(names)})")
    try:
        return (yield from tool.steps({**given, **kwargs}))
    except ToolExecutionError as error:
        errors.append(error)
        raise


def _by_name(submitted: Any, names: Collection[str]) -> Mapping[str, Any]:
    """Return submitted outputs by name.

    A custom interpreter may not know the names, and hands over `{"output": value}` or the value alone. Code may
    submit all outputs as one dict.
    """
    if isinstance(submitted, dict) and len(submitted) == 1:
        [(name, value)] = submitted.items()
        if isinstance(value, dict) and value.keys() == set(names):
            return value
        if name == "output" and name not in names:
            submitted = value
    if isinstance(submitted, dict) and any(name in submitted for name in names):
        return submitted
    return dict.fromkeys(names, submitted) if len(names) == 1 else {}


def _success(execution: Execution, outputs: dict[str, Any] | None) -> str:
    value = execution.value
    if execution.final is not None:
        value = execution.final.output if outputs is None else outputs
    shown = [] if value is None else [as_observation(value)]
    return "\n".join([*filter(None, [execution.printed.rstrip("\n")]), *shown])


def _failure(error: InterpreterError) -> str:
    printed = error.printed.rstrip("\n")
    return f"{error}\nBefore that, the code printed:\n{printed}" if printed else str(error)
