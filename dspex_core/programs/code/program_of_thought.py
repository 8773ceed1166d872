"""ProgramOfThought: let the model write code that computes the answer. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from dspex_core.errors import InterpreterError
from dspex_core.interpreter import PythonInterpreter
from dspex_core.plain.counts import whole_number
from dspex_core.programs.base import running
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.code.repl import (
    Repl,
    about_runtime,
    about_submit,
    checked_factory,
    inputs_of,
    interpreter_for_run,
    stored_factory,
    tools_by_name,
)
from dspex_core.signatures.signature import InputField, OutputField, Signature, ensure_signature
from dspex_core.types import Code
from dspex_core.types.observation import as_observation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.example import Prediction
    from dspex_core.flow.steps import Flow
    from dspex_core.interpreter import CodeInterpreter
    from dspex_core.programs.code.repl import Factory, Turn
    from dspex_core.signatures.signature import SignatureField

_log = logging.getLogger("dspex")
_ASSIGNED = re.compile(r"^([^\W\d]\w*)[ \t]*(?::[^=\n]*)?=(?!=).*\Z", re.MULTILINE)


class ProgramOfThought(BuiltIn):
    """Writes Python code that computes the outputs, runs it in a sandbox, and reads the outputs from its result.

    The inputs are variables of the code. Code that fails is written anew, knowing what was wrong; so is code
    that submits values which do not fit the outputs.

    Source: Chen et al. 2022, "Program of Thoughts Prompting: Disentangling Computation from Reasoning for
    Numerical Reasoning Tasks".

    Args:
        signature: A `Signature` class or its string form.
        max_iters: How often code is written at most.
        interpreter_factory: Makes the interpreter of each run, which ends with the run.

    Raises on a call:
        InterpreterError: The last code failed, too (it is a `RuntimeError`), or there is no sandbox.
    """

    def __init__(
        self,
        signature: str | type[Signature],
        max_iters: int = 3,
        interpreter_factory: Factory = PythonInterpreter,
    ) -> None:
        self.signature = ensure_signature(signature)
        tools_by_name((), self.signature)
        self.max_iters = whole_number("max_iters", max_iters, why="it is how often code is written")
        self.interpreter_factory = checked_factory(interpreter_factory)
        written = {"generated_code": (Code, OutputField(desc="Python code"))}
        failed = {
            "previous_code": (Code, InputField(desc="the code that failed")),
            "error": InputField(desc="what was wrong with it"),
        }
        done = {
            "final_generated_code": (Code, InputField(desc="the code that was run")),
            "code_output": InputField(desc="what it printed and what it resulted in"),
        }
        self.code_generate = ChainOfThought(self._derived(written, self._to_write()))
        self.code_regenerate = ChainOfThought(self._derived({**failed, **written}, self._to_rewrite()))
        self.generate_output = ChainOfThought(
            self._derived({**done, **self.signature.output_fields}, self._to_answer())
        )

    def flow(self, interpreter: CodeInterpreter | None = None, /, **inputs: Any) -> Flow[Prediction]:
        """Write code until it runs, then read the outputs from its result.

        Args:
            interpreter: One to use in place of one that the factory makes; the caller ends it.
            **inputs: The signature's input fields.
        """
        given = inputs_of(self.signature, inputs)
        with interpreter_for_run(self.interpreter_factory, interpreter) as sandbox:
            repl = Repl(sandbox, given, signature=self.signature)
            code, turn = yield from self._code_that_runs(repl, given)
        done = {"final_generated_code": code, "code_output": as_observation(turn.observation)}
        prediction: Prediction = yield from running(self.generate_output, **given, **done)
        return prediction

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given."""
        given = {"signature": self.signature, "max_iters": self.max_iters}
        return {**given, **stored_factory(self.interpreter_factory)}

    def _code_that_runs(self, repl: Repl, given: Mapping[str, Any]) -> Flow[tuple[str, Turn]]:
        written = yield from running(self.code_generate, **given)
        attempts = 0
        while True:
            code = str(written.generated_code)
            turn = yield from repl.run(_with_last_value(code))
            if turn.error is None:
                return code, turn
            attempts += 1
            _log.warning("code %d of %d failed: %s", attempts, self.max_iters, turn.error)
            if attempts >= self.max_iters:
                raise _given_up(turn.error, attempts) from turn.error
            failed = {"previous_code": code, "error": as_observation(turn.observation)}
            written = yield from running(self.code_regenerate, **given, **failed)

    def _derived(
        self, more: Mapping[str, SignatureField | tuple[Any, SignatureField]], instructions: str
    ) -> type[Signature]:
        return Signature({**self.signature.input_fields, **more}, instructions)

    def _to_write(self) -> str:
        inputs = ", ".join(f"`{name}`" for name in self.signature.input_fields)
        return "\n\n".join(
            filter(
                None,
                [
                    self.signature.instructions,
                    f"Do this by writing Python code. The code finds the inputs in the variables {inputs}.",
                    about_submit(self.signature),
                    about_runtime(self.interpreter_factory),
                ],
            )
        )

    def _to_rewrite(self) -> str:
        again = "The code in `previous_code` has failed. Write it anew, as a whole, so that its `error` is gone."
        return f"{self._to_write()}\n\n{again}"

    def _to_answer(self) -> str:
        return (
            f"{self.signature.instructions}\n\nCode was written and run to compute this. "
            "Answer with what `code_output` says; do not compute it again."
        )


def _with_last_value(code: str) -> str:
    """Return code that shows what it has assigned in its last line, if that is all which this line does."""
    assigned = _ASSIGNED.search(code.rstrip())
    is_whole = assigned and sum(map(assigned[0].count, "([{")) >= sum(map(assigned[0].count, ")]}"))
    return f"{code}\n{assigned[1]}" if assigned and is_whole else code


def _given_up(error: InterpreterError, attempts: int) -> InterpreterError:
    return InterpreterError(
        f"none of {attempts} pieces of code that the model wrote did its work (max_iters); the last: {error.message}",
        kind=error.kind,
        exception=error.exception,
        line=error.line,
        traceback=error.traceback,
        limit=error.limit,
        printed=error.printed,
        state_lost=error.state_lost,
    )
