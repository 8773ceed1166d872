"""The turns of an agent whose model calls functions itself. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dspex_core.config import context, current
from dspex_core.errors import ContextWindowExceededError
from dspex_core.example import Prediction
from dspex_core.plain.reading.called_names import called_name
from dspex_core.programs.agents.trajectory import FINISH, Decision, ToolRequest
from dspex_core.programs.base import Module
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import InputField, OutputField, make_signature
from dspex_core.types.observation import as_observation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.flow.steps import Flow
    from dspex_core.programs.agents.trajectory import Trajectory
    from dspex_core.signatures.signature import Signature
    from dspex_core.tools import Tool
    from dspex_core.types import ToolCalls


class NativeTurns:
    """Turns as messages of a conversation with function calls.

    For optimizers, the trace has what the written form would have had.

    Args:
        react: The predictor of the written form, whose LM and config these turns use.
        signature: The agent's.
        tools: What it may call, `finish` among them.
        trajectory: Takes note of what is done.
        inputs: What the agent was given.
    """

    def __init__(
        self,
        react: Predict,
        signature: type[Signature],
        tools: Sequence[Tool],
        trajectory: Trajectory,
        inputs: Mapping[str, Any],
    ) -> None:
        self._react = react
        self._tools = list(tools)
        self._trajectory = trajectory
        self._inputs = inputs
        self._predict = Predict(_calling(signature), callbacks=react.callbacks, **react.config)
        self._predict.lm = react.lm
        self._turns: list[dict[str, Any]] = []
        self._asked: ToolCalls | None = None

    def decide(self) -> Flow[Decision]:
        """Ask what to do next; a model that calls nothing is done.

        Raises:
            ContextWindowExceededError: The conversation is too long, even without its older turns.
        """
        while True:
            try:
                with context(trace=None):
                    found = yield from Module.steps(self._predict, **self._conversation())
            except ContextWindowExceededError:
                if len(self._turns) <= 1:
                    raise
                del self._turns[0]
            else:
                break
        self._asked = found.tool_calls
        asked = self._asked.tool_calls if self._asked else []
        names = [tool.name for tool in self._tools]
        calls = [ToolRequest(called_name(call.name, names), call.args) for call in asked]
        decision = Decision(found.next_thought or "", calls or [ToolRequest(FINISH, {})])
        self._note(decision)
        return decision

    def add(self, decision: Decision, observations: list[Any]) -> None:
        """Take note of what was done."""
        from dspex_core.types import ToolCallResults  # loads pydantic, as the tools have done

        self._trajectory.add(decision, observations)
        if self._asked is not None:
            texts = [as_observation(value, limit=self._trajectory.limit) for value in observations]
            results = ToolCallResults.from_tool_calls_and_values(self._asked, texts)
            calls = self._asked.model_copy(update={"tool_call_results": results})
            self._turns.append({"next_thought": decision.thought or None, "tool_calls": calls})

    def _conversation(self) -> dict[str, Any]:
        """Return the inputs of the next call: what the agent was given, or the turns that began with it."""
        given = dict(self._inputs)
        if not self._turns:
            return {**given, "tools_": self._tools, "turns_": None}
        first, *rest = self._turns
        return {**dict.fromkeys(given), "tools_": self._tools, "turns_": [{**given, **first}, *rest]}

    def _note(self, decision: Decision) -> None:
        trace, call = current().trace, decision.calls[0]
        if trace is not None:
            written = Prediction(
                next_thought=decision.thought, next_tool_name=call.name, next_tool_args=dict(call.args)
            )
            trace.append((self._react, {**self._inputs, "trajectory": self._trajectory.text()}, written))


@lru_cache(maxsize=256)
def _calling(signature: type[Signature]) -> type[Signature]:
    """Return the signature of a turn: from the inputs and the turns before to a thought and calls."""
    from dspex_core.tools import Tool
    from dspex_core.types import History, ToolCalls  # loads pydantic

    outputs = ", ".join(f"`{name}`" for name in signature.output_fields)
    instructions = (
        f"{signature.instructions}\n\nWork towards {outputs}: think about what is known and what is missing, then "
        f"call the tools that bring it. Once you know enough, call `{FINISH}`."
    )
    return (
        make_signature(dict(signature.input_fields), instructions)
        .append("turns_", InputField(default=None), History | None)
        .append("tools_", InputField(), list[Tool])
        .append("next_thought", OutputField(), str)
        .append("tool_calls", OutputField(), ToolCalls)
    )
