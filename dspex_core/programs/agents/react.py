"""ReAct: an agent that thinks and calls tools in turns until it can answer. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Annotated, Any, Literal

from dspex_core.config import current
from dspex_core.errors import AdapterParseError, ConfigurationError, ContextWindowExceededError, ToolExecutionError
from dspex_core.example import Prediction
from dspex_core.plain.counts import whole_number
from dspex_core.plain.reading.forgiving import means_nothing
from dspex_core.programs.agents.native_turns import NativeTurns
from dspex_core.programs.agents.trajectory import FINISH, TURN, Decision, ToolRequest, Trajectory
from dspex_core.programs.base import has_stand_in, is_called_its_own_way
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.chain_of_thought import ChainOfThought
from dspex_core.programs.predict import Predict, adapter_of
from dspex_core.signatures.signature import MISSING, InputField, Missing, OutputField, ensure_signature, make_signature
from dspex_core.tools import Tool, ToolRegistry, stored_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dspex_core.flow.steps import Flow
    from dspex_core.signatures.signature import Signature

_log = logging.getLogger("dspex")


class ReAct(BuiltIn):
    """An agent: it thinks and calls tools in turns, and then answers from what it has seen.

    Source: Yao et al. 2022, "ReAct: Synergizing Reasoning and Acting in Language Models".

    Args:
        signature: A `Signature` class or its string form.
        tools: What it may call: functions, `Tool`s, programs; or a `ToolRegistry`.
        max_iters: How many turns it may take; `max_iters` of a call goes first.
        max_observation_chars: How much of what a tool returned a prompt shows.

    The prediction has the signature's outputs and `trajectory`: a dict of `thought_0`, `tool_name_0`,
    `tool_args_0`, `observation_0`, `thought_1` and so on. An error of a tool is an observation,
    and the agent goes on; `get_tool_errors()` of the prediction has each as a `ToolExecutionError`.

    An LM that calls functions itself does so with an adapter that has `use_native_function_calling`;
    an agent that was compiled keeps to the written form that it was compiled for.
    """

    span_kind = "agent"

    def __init__(
        self,
        signature: str | type[Signature],
        tools: Iterable[Any] | ToolRegistry,
        max_iters: int = 20,
        *,
        max_observation_chars: int = 20_000,
    ) -> None:
        self.signature = ensure_signature(signature)
        self.max_iters = whole_number("max_iters", max_iters, least=0)
        self.max_observation_chars = max_observation_chars
        self._registry = tools if isinstance(tools, ToolRegistry) else ToolRegistry(tools)
        if FINISH in self._registry:
            raise ConfigurationError(f"a tool cannot be called {FINISH!r}: that is how the agent says that it is done")
        self.react = Predict(_acting(self.signature, self.tools.values()))
        self.extract = ChainOfThought(_extracting(self.signature))
        self._written = self.react.signature

    @property
    def tools(self) -> dict[str, Tool]:
        """The tools by their names, `finish` among them."""
        return {tool.name: tool for tool in (*self._registry, _finish(self.signature))}

    def flow(self, *, max_iters: int | Missing | None = MISSING, **inputs: Any) -> Flow[Prediction]:
        """Take turns until the agent is done, then answer. An input named `max_iters` goes before the option."""
        if "max_iters" in self.signature.input_fields and max_iters is not MISSING:
            inputs["max_iters"], max_iters = max_iters, MISSING
        wanted = self.max_iters if max_iters is None or max_iters is MISSING else max_iters
        limit = whole_number("max_iters", wanted, least=0)
        trajectory = Trajectory(self.max_observation_chars, self.truncate_trajectory)
        errors: list[ToolExecutionError] = []
        turns = self._turns(trajectory, inputs)
        for _ in range(limit):
            try:
                decision = yield from turns.decide()
            except (AdapterParseError, ContextWindowExceededError) as error:
                _log.warning("the agent stops acting and answers from what it has: %s", error)
                break
            observations = yield from self._act(decision, errors)
            turns.add(decision, observations)
            if decision.is_last:
                break
        answer = yield from trajectory.asking(self.extract, inputs)
        prediction = Prediction(trajectory=trajectory.values, **answer)
        prediction.set_tool_errors(errors)
        return prediction

    def truncate_trajectory(self, trajectory: dict[str, Any]) -> dict[str, Any]:
        """Return what prompts are to show of a trajectory that is too long; a subclass may choose otherwise.

        Raises:
            ValueError: It cannot be shortened.
        """
        if len(trajectory) <= TURN:
            raise ValueError("the trajectory has no turn to leave out")
        return dict(list(trajectory.items())[TURN:])

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given."""
        return {
            "signature": self.signature,
            "tools": stored_tools(self._registry),
            "max_iters": self.max_iters,
            "max_observation_chars": self.max_observation_chars,
        }

    def _turns(self, trajectory: Trajectory, inputs: Mapping[str, Any]) -> _WrittenTurns | NativeTurns:
        react = self.react
        if is_called_its_own_way(react) or has_stand_in(react):
            return _WrittenTurns(react, trajectory, inputs)
        lm = react.lm or current().lm
        if (
            lm is None
            or not lm.supports_function_calling
            or not adapter_of(react).use_native_function_calling
            or react.demos
            or react.demo_selector
            or not react.signature.equals(self._written)
        ):
            return _WrittenTurns(react, trajectory, inputs)
        return NativeTurns(react, self.signature, tuple(self.tools.values()), trajectory, inputs)

    def _act(self, decision: Decision, errors: list[ToolExecutionError]) -> Flow[list[Any]]:
        """Make the calls of a turn; return the result of each."""
        observations: list[Any] = []
        for name, args in decision.calls:
            if name == FINISH:
                observations.append("Completed.")
                continue
            try:
                observations.append((yield from self._registry.steps(name, args)))
            except ToolExecutionError as error:
                errors.append(error)
                observations.append(f"{error.tool} failed: {error.reason}")
        return observations


class _WrittenTurns:
    """The turns of an agent whose model writes which tool it calls."""

    def __init__(self, react: Callable[..., Any], trajectory: Trajectory, inputs: Mapping[str, Any]) -> None:
        self._react = react
        self._trajectory = trajectory
        self._inputs = inputs

    def decide(self) -> Flow[Decision]:
        """Ask what to do next."""
        found = yield from self._trajectory.asking(self._react, self._inputs)
        return Decision(found.next_thought, (ToolRequest(found.next_tool_name, found.next_tool_args),))

    def add(self, decision: Decision, observations: list[Any]) -> None:
        """Take note of what was done."""
        self._trajectory.add(decision, observations)


def _finish(signature: type[Signature]) -> Tool:
    def finish() -> str:
        return "Completed."

    outputs = ", ".join(f"`{name}`" for name in signature.output_fields)
    return Tool(finish, name=FINISH, desc=f"Say that nothing more is needed to give {outputs}.")


def _acting(signature: type[Signature], tools: Iterable[Tool]) -> type[Signature]:
    """Return the signature of a turn: from the inputs and the trajectory to a thought and a call."""
    tools = list(tools)
    outputs = ", ".join(f"`{name}`" for name in signature.output_fields)
    work = (
        f"Work towards {outputs} in turns. In each turn, think about what `trajectory` shows so far, then name one "
        "tool to call and its arguments. What it returns is shown as the next observation in `trajectory`. Once you "
        f"know enough, call `{FINISH}`. The tools are:"
    )
    instructions = "\n".join([signature.instructions, "", work, *[f"- {tool.format()}" for tool in tools]])
    return (
        make_signature(dict(signature.input_fields), instructions)
        .append("trajectory", InputField(desc="what was thought, done and observed so far"), str)
        .append("next_thought", OutputField(), str)
        .append("next_tool_name", OutputField(), Literal[tuple(tool.name for tool in tools)])
        .append("next_tool_args", OutputField(desc="a JSON object with the arguments by name"), _arguments())
    )


def _arguments() -> Any:
    from pydantic import BeforeValidator  # heavy; the tools have loaded it

    return Annotated[dict[str, Any], BeforeValidator(_given)]


def _given(args: Any) -> Any:
    """Return the arguments of a call; `finish`, for one, is often given null, an empty list or an empty text."""
    if args is None or args == [] or (isinstance(args, str) and means_nothing(args.strip() or "null")):
        return {}
    return args[0] if isinstance(args, list) and len(args) == 1 else args


def _extracting(signature: type[Signature]) -> type[Signature]:
    """Return the signature of the answer: from the inputs and the trajectory to the outputs."""
    return signature.append("trajectory", InputField(desc="what was thought, done and observed"), str)
