"""RLM: let the model explore long inputs by code that may ask language models itself. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import asdict, dataclass
from textwrap import indent
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.errors import ConfigurationError, LMError, SignatureError
from dspex_core.errors.printable import printable
from dspex_core.example import Prediction
from dspex_core.flow.together import Together
from dspex_core.interpreter import PythonInterpreter
from dspex_core.messages import LMRequest, Message
from dspex_core.plain.counts import whole_number
from dspex_core.plain.data import to_json
from dspex_core.programs.base import Predictor, running
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.code.repl import (
    Repl,
    about_runtime,
    about_submit,
    as_flows,
    checked_factory,
    inputs_of,
    interpreter_for_run,
    shortened,
    stored_factory,
    tools_by_name,
)
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, Signature, ensure_signature
from dspex_core.tools import stored_tools
from dspex_core.types import Code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from dspex_core.config.contracts import LanguageModel
    from dspex_core.errors import ToolExecutionError
    from dspex_core.flow.steps import Flow
    from dspex_core.interpreter import CodeInterpreter
    from dspex_core.interpreter.contract import FlowTool
    from dspex_core.programs.code.repl import Factory, Turn
    from dspex_core.signatures.signature import SignatureField
    from dspex_core.tools import Tool

_log = logging.getLogger("dspex")

_QUERY, _QUERY_BATCHED = "llm_query", "llm_query_batched"
_RESULTS = ("trajectory", "final_reasoning")
_WIDTH = 8  # sub-LM calls at once
_PREVIEW = 1000  # characters of a variable that are shown

_HOW_TO_WORK = """\
The inputs may be far too long to read. You do not see them: they are variables of a Python session, and \
`variables_info` says what each is. You work in steps. In each step you write a piece of code; it is run, and the next \
`repl_history` shows what it printed and the value of its last expression. What it defines is there in the next step.

Functions that the code can call:
- `llm_query(prompt: str) -> str` asks a language model, which sees nothing but the prompt.
- `llm_query_batched(prompts: list[str]) -> list[str]` asks many prompts at the same time and returns the answers in \
their order. One that failed is a text that begins with `[ERROR]`."""

_ADVICE = """\
How to go about it:
- Look first: lengths, beginnings, how the text is divided. Print short pieces, since long output is cut.
- Let code do what code can do: search, split, count, compute. Ask `llm_query` what only reading can tell, with the \
piece of text in the prompt; ask for many pieces by `llm_query_batched`.
- Keep results in variables, and pass them on from there rather than copying them by hand.
- Look at a result before you submit it: `SUBMIT` ends the session at once. If it is empty or odd, find out why."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One step of a session."""

    reasoning: str
    code: str
    output: str


class RLM(BuiltIn):
    """A recursive language model: its inputs are variables of a REPL, which it explores by code, step by step.

        rlm = RLM("context, query -> answer")
        rlm(context=book, query="Who betrays whom?").answer

    The model sees the type, the length and a preview of each input, so that they may be far longer than its
    context. Its code may ask language models about pieces of them (`llm_query`, `llm_query_batched`), and
    submits the outputs, which are checked against their types. Where the iterations run out before, the
    outputs are read from what was found.

    A prediction has, beside the outputs, the `trajectory`, a list of dicts of `reasoning`, `code` and
    `output`, and the `final_reasoning`. Its `get_tool_errors()` has each call of a tool that failed.

    Source: Zhang, Kraska, Khattab 2025, "Recursive Language Models".

    Args:
        signature: A `Signature` class or its string form.
        max_iters: How many steps there are at most.
        max_llm_calls: How many sub-LM calls the code of one run may make.
        max_output_chars: How many characters of a step's output are shown to the model: its beginning and its end.
        verbose: Whether each step is logged, to the logger `dspex`.
        tools: Functions that the code may call as well, sync or async, or what else a `Tool` is made of.
        sub_lm: The LM that the code asks; by default that of the settings, else that of `generate_action`.
        interpreter_factory: Makes the interpreter of each run, which ends with the run.

    Raises on a call:
        SignatureError: An input is missing or unknown.
        InterpreterError: There is no sandbox, or an input cannot be passed to it.
    """

    span_kind = "agent"

    def __init__(
        self,
        signature: str | type[Signature],
        max_iters: int = 20,
        max_llm_calls: int = 50,
        max_output_chars: int = 10_000,
        verbose: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        tools: Sequence[Any] | None = None,
        sub_lm: LanguageModel | None = None,
        interpreter_factory: Factory = PythonInterpreter,
    ) -> None:
        self.signature = ensure_signature(signature)
        taken = [name for name in _RESULTS if name in self.signature.output_fields]
        if taken:
            raise ConfigurationError(f"{self.signature!r} has the output {taken[0]!r}, which an RLM adds itself")
        self._tools = tools_by_name(tools or (), self.signature, own=(_QUERY, _QUERY_BATCHED))
        self.max_iters = whole_number("max_iters", max_iters, least=0)
        self.max_llm_calls = whole_number("max_llm_calls", max_llm_calls, least=0)
        self.max_output_chars = max_output_chars
        self.verbose = verbose
        self.sub_lm = sub_lm
        self.interpreter_factory = checked_factory(interpreter_factory)
        seen = {
            "variables_info": InputField(desc="the inputs: what each variable is"),
            "repl_history": InputField(desc="the steps so far"),
        }
        action = {
            **seen,
            "iteration": InputField(desc="which step this is, of how many"),
            "reasoning": OutputField(desc="what is known by now, and what to do next"),
            "code": (Code, OutputField(desc="the Python code of this step")),
        }
        self.generate_action = Predict(Signature(action, self._to_act()))
        self.extract = Predict(Signature({**seen, **self.signature.output_fields}, self._to_extract()))

    @property
    def tools(self) -> dict[str, Tool]:
        """The tools that were given, by name."""
        return dict(self._tools)

    def flow(self, interpreter: CodeInterpreter | None = None, /, **inputs: Any) -> Flow[Prediction]:
        """Write and run code until it submits the outputs.

        Args:
            interpreter: One to use in place of one that the factory makes; the caller ends it.
            **inputs: The signature's input fields.
        """
        given = inputs_of(self.signature, inputs)
        unknown = [name for name in inputs if name not in given]
        if unknown:
            raise SignatureError(f"{self.signature!r} has no input {', '.join(map(repr, unknown))}")
        queries = _Queries(self.sub_lm or current().lm or _lm_of(self.generate_action), self.max_llm_calls)
        seen = {"variables_info": _described(self.signature, given)}
        steps: list[_Entry] = []
        errors: list[ToolExecutionError] = []
        with interpreter_for_run(self.interpreter_factory, interpreter) as sandbox:
            tools = {**queries.tools, **as_flows(self._tools, errors)}
            repl = Repl(sandbox, given, tools=tools, signature=self.signature)
            for number in range(1, self.max_iters + 1):
                seen["repl_history"] = _written(steps, self.max_output_chars)
                action = yield from running(self.generate_action, **seen, iteration=f"{number}/{self.max_iters}")
                turn = yield from repl.run(str(action.code))
                steps.append(_Entry(action.reasoning, str(action.code), _output(turn)))
                self._log_step(number, steps[-1])
                if turn.outputs is not None:
                    return _prediction(turn.outputs, steps, action.reasoning, errors)
        _log.warning("RLM has used all its %d steps: the outputs are read from what was found", self.max_iters)
        seen["repl_history"] = _written(steps, self.max_output_chars)
        found = yield from running(self.extract, **seen)
        outputs = {name: found[name] for name in self.signature.output_fields}
        return _prediction(outputs, steps, "The steps ran out; the outputs were read from what was found.", errors)

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given, without the LM."""
        names = ("signature", "max_iters", "max_llm_calls", "max_output_chars", "verbose")
        given = {name: getattr(self, name) for name in names}
        return {**given, "tools": stored_tools(self._tools.values()), **stored_factory(self.interpreter_factory)}

    def _log_step(self, number: int, step: _Entry) -> None:
        if self.verbose:
            output = shortened(step.output, self.max_output_chars)
            texts = map(printable, (step.reasoning, step.code, output))
            _log.info("RLM step %d of %d\n%s\n%s\n%s", number, self.max_iters, *texts)

    def _to_act(self) -> str:
        parts = [
            self.signature.instructions,
            "\n".join([_HOW_TO_WORK, *(f"- {tool}" for tool in self._tools.values())]),
            f"The code of all steps together can ask at most {self.max_llm_calls} prompts.",
            about_submit(self.signature),
            _ADVICE,
            about_runtime(self.interpreter_factory),
        ]
        return "\n\n".join(filter(None, parts))

    def _to_extract(self) -> str:
        return (
            f"{self.signature.instructions}\n\nThis was worked on by code, step by step, as `repl_history` shows; the "
            "steps have run out. Answer with what was found by then."
        )


def _lm_of(predictor: Any) -> LanguageModel | None:
    return predictor.lm if isinstance(predictor, Predictor) else None  # or a function that a test has put there


class _Queries:
    """The sub-LM calls of one run, as functions of its code."""

    def __init__(self, lm: LanguageModel | None, limit: int) -> None:
        self._lm = lm
        self._limit = limit
        self._asked = 0
        self._lock = threading.Lock()  # a custom interpreter may call from several threads
        self.tools: dict[str, FlowTool] = {_QUERY: self._query, _QUERY_BATCHED: self._query_batched}

    def _query(self, prompt: str) -> Flow[str]:
        self._count([prompt])
        return (yield from self._answer(prompt))

    def _query_batched(self, prompts: Sequence[str]) -> Flow[list[str]]:
        if not isinstance(prompts, list):
            raise TypeError(f"{_QUERY_BATCHED} takes a list of texts, not {type(prompts).__name__}")
        self._count(prompts)
        answers = [""] * len(prompts)
        if prompts:
            yield Together(self._answering(prompts, answers), min(_WIDTH, len(prompts)))
        return answers

    def _count(self, prompts: Sequence[str]) -> None:
        for prompt in prompts:
            if not isinstance(prompt, str) or not prompt.strip():
                raise ValueError(f"a prompt is a text that is not empty, not {prompt!r}")
        with self._lock:
            if self._asked + len(prompts) > self._limit:
                left = self._limit - self._asked
                message = f"{len(prompts)} prompts are too many: of {self._limit} sub-LM calls, {left} are left"
                raise RuntimeError(f"{message}; go on without, by code")
            self._asked += len(prompts)

    def _answering(self, prompts: Sequence[str], answers: list[str]) -> Iterator[Flow[None]]:
        for index, prompt in enumerate(prompts):
            yield self._noted(index, prompt, answers)

    def _noted(self, index: int, prompt: str, answers: list[str]) -> Flow[None]:
        try:
            answers[index] = yield from self._answer(prompt)
        except LMError as error:
            answers[index] = f"[ERROR] {error}"

    def _answer(self, prompt: str) -> Flow[str]:
        assert self._lm is not None, "without an LM there is no code that asks"
        response = yield from self._lm.steps(LMRequest((Message("user", prompt),)))
        return response.outputs[0].text


def _described(signature: type[Signature], inputs: Mapping[str, Any]) -> str:
    return "\n\n".join(_variable(signature.input_fields[name], value) for name, value in inputs.items())


def _variable(field: SignatureField, value: Any) -> str:
    """Describe a variable by type, length and its beginning and end."""
    plain = to_json(value)
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False, indent=2)
    limits = ", ".join(f"{name}={limit!r}" for name, limit in field.constraints.items())
    lines = [
        f"`{field.name}` ({type(value).__name__})",
        *([f"Meaning: {field.desc}"] if field.desc else []),
        *([f"Limits: {limits}"] if limits else []),
        f"Length: {len(text):,} characters",
        f"Preview:\n{indent(shortened(text, _PREVIEW), '    ')}",
    ]
    return "\n".join(lines)


def _output(turn: Turn) -> str:
    if turn.outputs is not None:
        return f"FINAL: {turn.outputs}"
    if turn.error is not None:
        return f"[Error] {turn.observation}"
    return turn.observation or "(no output: print what you want to see)"


def _written(steps: Sequence[_Entry], max_output_chars: int) -> str:
    """Write the steps for a prompt."""
    if not steps:
        return "(this is the first step)"
    return "\n\n".join(
        f"Step {number}\n{step.reasoning}\n{Code(code=step.code).format()}\n"
        f"Output ({len(step.output):,} characters):\n{shortened(step.output, max_output_chars)}"
        for number, step in enumerate(steps, start=1)
    )


def _prediction(
    outputs: Mapping[str, Any], steps: Sequence[_Entry], reasoning: str, errors: Sequence[ToolExecutionError]
) -> Prediction:
    prediction = Prediction(**outputs, trajectory=[asdict(step) for step in steps], final_reasoning=reasoning)
    prediction.set_tool_errors(errors)
    return prediction
