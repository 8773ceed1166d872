"""CodeAct: let the model act by code that calls tools. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ContextWindowExceededError
from dspex_core.example import Prediction
from dspex_core.interpreter import PythonInterpreter
from dspex_core.plain.counts import whole_number
from dspex_core.programs.base import running
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.code.repl import (
    Repl,
    about_runtime,
    as_flows,
    checked_factory,
    inputs_of,
    interpreter_for_run,
    stored_factory,
    tools_by_name,
)
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, Signature, ensure_signature
from dspex_core.tools import stored_tools
from dspex_core.types import Code
from dspex_core.types.observation import as_observation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from dspex_core.errors import ToolExecutionError
    from dspex_core.flow.steps import Flow
    from dspex_core.interpreter import CodeInterpreter
    from dspex_core.programs.code.repl import Factory

_log = logging.getLogger("dspex")


class CodeAct(BuiltIn):
    """Writes code that calls tools, looks at what it printed, and goes on until it has what the outputs need.

    Tools run in this process, as they do for other agents: the code in the sandbox can call them and nothing
    else. What one piece of code defines, the next ones can use; the inputs are variables.

    A prediction has, beside the outputs and their `reasoning`, the `trajectory`: `generated_code_0`, then
    `code_output_0` or, where the code failed, `observation_0`, and so on. Its `get_tool_errors()` has each call
    of a tool that failed.

    Source: Wang et al. 2024, "Executable Code Actions Elicit Better LLM Agents".

    Args:
        signature: A `Signature` class or its string form.
        tools: Functions (sync or async), or what else a `Tool` is made of.
        max_iters: How often code is written at most; a call may give another number, as `max_iters=...`.
        interpreter_factory: Makes the interpreter of each run, which ends with the run.

    Raises on a call:
        InterpreterError: The sandbox does not start.
    """

    span_kind = "agent"

    def __init__(
        self,
        signature: str | type[Signature],
        tools: Sequence[Any],
        max_iters: int = 5,
        interpreter_factory: Factory = PythonInterpreter,
    ) -> None:
        self.signature = ensure_signature(signature)
        self.tools = tools_by_name(tools, self.signature)
        self.max_iters = whole_number("max_iters", max_iters, least=0)
        self.interpreter_factory = checked_factory(interpreter_factory)
        trajectory = InputField(desc="the code so far, and what came of it")
        acting = {
            **self.signature.input_fields,
            "trajectory": trajectory,
            "generated_code": (Code, OutputField(desc="the next piece of Python code")),
            "finished": (bool, OutputField(desc="whether the outputs are known once this code has run")),
        }
        self.codeact = Predict(Signature(acting, self._instructions()))
        self.extractor = ChainOfThought(self.signature.append("trajectory", trajectory))

    def flow(self, interpreter: CodeInterpreter | None = None, /, **inputs: Any) -> Flow[Prediction]:
        """Write and run code until the model has finished, then read the outputs from all of it.

        Args:
            interpreter: One to use in place of one that the factory makes; the caller ends it.
            **inputs: The signature's input fields, and `max_iters`.
        """
        is_input = "max_iters" in self.signature.input_fields
        max_iters = self.max_iters if is_input else inputs.pop("max_iters", self.max_iters)
        given = inputs_of(self.signature, inputs)
        steps: list[_Step] = []
        errors: list[ToolExecutionError] = []
        with interpreter_for_run(self.interpreter_factory, interpreter) as sandbox:
            repl = Repl(sandbox, given, tools=as_flows(self.tools, errors))
            for number in range(max_iters):
                action = yield from _asked(self.codeact, steps, given)
                code = str(action.generated_code)
                turn = yield from repl.run(code)
                kind = "code_output" if turn.error is None else "observation"
                steps.append(_Step(number, code, kind, as_observation(turn.observation)))
                if action.finished:
                    break
        found = yield from _asked(self.extractor, steps, given)
        trajectory = {name: value for step in steps for name, value in step.entries().items()}
        prediction = Prediction(trajectory=trajectory, **found)
        prediction.set_tool_errors(errors)
        return prediction

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given."""
        given = {"signature": self.signature, "tools": stored_tools(self.tools.values()), "max_iters": self.max_iters}
        return {**given, **stored_factory(self.interpreter_factory)}

    def _instructions(self) -> str:
        inputs, outputs = (
            ", ".join(f"`{name}`" for name in fields)
            for fields in (self.signature.input_fields, self.signature.output_fields)
        )
        how = (
            f"Work towards {outputs} step by step. In each step you write a piece of Python code; it is run, and the "
            "next `trajectory` shows what it printed and the value of its last expression. Print what you need to "
            f"see. The code finds the inputs in the variables {inputs}. When nothing more has to be found out for "
            f"{outputs}, set `finished`."
        )
        tools = "\n".join(["Functions that the code can call:", *(f"- {tool}" for tool in self.tools.values())])
        parts = [self.signature.instructions, how, tools if self.tools else "", about_runtime(self.interpreter_factory)]
        return "\n\n".join(filter(None, parts))


@dataclass(frozen=True, slots=True)
class _Step:
    """A piece of code and what came of it, which is of the kind `"code_output"` or, if it failed, `"observation"`."""

    number: int
    code: str
    kind: str
    output: str

    def entries(self) -> dict[str, str]:
        return {f"generated_code_{self.number}": self.code, f"{self.kind}_{self.number}": self.output}

    def __str__(self) -> str:
        fenced = Code(code=self.code).format()
        return f"generated_code_{self.number}:\n{fenced}\n{self.kind}_{self.number}:\n{self.output}"


def _asked(program: Callable[..., Any], steps: Sequence[_Step], inputs: Mapping[str, Any]) -> Flow[Any]:
    """Ask with the trajectory; where that is too long for the model, without its oldest steps."""
    try:
        return (yield from running(program, **inputs, trajectory="\n\n".join(map(str, steps))))
    except ContextWindowExceededError:
        if len(steps) <= 1:
            raise
    _log.warning("the trajectory is too long for the model: step %d is left out", steps[0].number)
    return (yield from _asked(program, steps[1:], inputs))
