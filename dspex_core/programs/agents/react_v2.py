"""ReActV2: an agent whose turns are a conversation with function calls, and whose answer is one, too.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import AdapterParseError, ConfigurationError, ContextWindowExceededError, ToolExecutionError
from dspex_core.example import Prediction
from dspex_core.plain.counts import whole_number
from dspex_core.plain.reading.called_names import called_name
from dspex_core.programs.base import running
from dspex_core.programs.built_in import BuiltIn
from dspex_core.programs.predict import Predict
from dspex_core.signatures.signature import (
    MISSING,
    InputField,
    Missing,
    OutputField,
    Signature,
    ensure_signature,
    make_signature,
)
from dspex_core.tools import Tool, ToolRegistry, stored_tools
from dspex_core.types.observation import as_observation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from dspex_core.flow.steps import Flow
    from dspex_core.types import History, ToolCalls

_log = logging.getLogger("dspex")
SUBMIT = "submit"  # the tool by which the agent answers
Ending = Literal["submit", "forced_submit", "max_iters", "empty_tool_calls", "parse_error", "context_window_exceeded"]


class ReActV2(BuiltIn):
    """An agent whose turns are messages with function calls; it answers by calling the tool `submit`.

    After Yao et al. 2022, "ReAct: Synergizing Reasoning and Acting in Language Models", for models with function calls.

    Args:
        signature: A `Signature` class or its string form.
        tools: What it may call: functions, `Tool`s, programs; or a `ToolRegistry`.
        max_iters: How many turns it may take; `max_iters` of a call goes first.
        max_observation_chars: How much of what a tool returned a prompt shows.

    A call also takes `history`, a `History` or a list of turns; the turns of the call are appended to it. The
    prediction has the signature's outputs, `history`, and `termination_reason`: `"submit"`; `"forced_submit"` where the
    agent had to be asked for its answer; otherwise why there is no answer, and the outputs are missing. An error of a
    tool is its result, and the agent goes on; `get_tool_errors()` of the prediction has each.
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
        if SUBMIT in self._registry:
            raise ConfigurationError(f"a tool cannot be called {SUBMIT!r}: that is how the agent gives its answer")
        self._submit = _submit(self.signature)
        self.react = Predict(_turn(self.signature, self.tools))

    @property
    def tools(self) -> dict[str, Tool]:
        """The tools by their names, `submit` among them."""
        return {tool.name: tool for tool in (*self._registry, self._submit)}

    def flow(
        self, *, max_iters: int | Missing | None = MISSING, history: Any = None, **inputs: Any
    ) -> Flow[Prediction]:
        """Take turns until the agent submits its answer."""
        wanted = self.max_iters if max_iters is None or max_iters is MISSING else max_iters
        limit = whole_number("max_iters", wanted, least=0)
        run = _Run(self, self._registry, _as_history(history), inputs)
        ending: Ending = "max_iters"
        for number in range(limit):
            found = yield from run.turn(number)
            if isinstance(found, str):
                ending = found
                break
            if found is not None:
                return run.prediction(found, "submit")
        return (yield from run.forced(limit, ending))

    def constructor_arguments(self) -> dict[str, Any]:
        """Return the arguments as they were given."""
        return {
            "signature": self.signature,
            "tools": stored_tools(self._registry),
            "max_iters": self.max_iters,
            "max_observation_chars": self.max_observation_chars,
        }


class _Run:
    """One call of the agent."""

    def __init__(self, agent: ReActV2, registry: ToolRegistry, history: History, inputs: Mapping[str, Any]) -> None:
        self._agent = agent
        self._registry = registry
        self._history = history
        self._pending = {name: inputs[name] for name in agent.signature.input_fields if name in inputs}
        self._errors: list[ToolExecutionError] = []

    def turn(self, number: int, *, only_submit: bool = False, **options: Any) -> Flow[dict[str, Any] | Ending | None]:
        """Take a turn: return the answer, `None` to go on, or why the agent cannot go on."""
        try:
            found = yield from running(self._agent.react, **self._asked(), **options)
        except AdapterParseError as error:
            _log.warning("the agent stops acting, as its reply cannot be read: %s", error)
            return "parse_error"
        except ContextWindowExceededError as error:
            _log.warning("the agent stops acting, as its conversation is too long: %s", error)
            return "context_window_exceeded"
        calls = _with_ids(found.tool_calls, number, only_submit=only_submit)
        if calls is None or not calls.tool_calls:
            return "empty_tool_calls"
        return (yield from self._act(found.next_thought, calls))

    def forced(self, number: int, ending: Ending) -> Flow[Prediction]:
        """Ask for the answer by the choice of the tool."""
        config = {"tool_choice": {"type": "function", "function": {"name": SUBMIT}}}
        found = yield from self.turn(number, only_submit=True, config=config)
        if isinstance(found, dict):
            return self.prediction(found, "forced_submit")
        return self.prediction({}, ending)

    def prediction(self, answer: Mapping[str, Any], ending: Ending) -> Prediction:
        """Return what the call of the agent returns."""
        prediction = Prediction(**answer, history=self._history, termination_reason=ending)
        prediction.set_tool_errors(self._errors)
        return prediction

    def _asked(self) -> dict[str, Any]:
        names = self._agent.signature.input_fields
        given = {name: self._pending.get(name) for name in names}
        return {**given, "history": self._shown_history(), "tools": list(self._agent.tools.values())}

    def _shown_history(self) -> History:
        """Return the history as the model sees it: an answer of an earlier turn is a call of `submit`."""
        outputs = self._agent.signature.output_fields
        turns = [
            {**turn, "tool_calls": _submitted({name: turn[name] for name in outputs})}
            if "tool_calls" not in turn and outputs.keys() <= turn.keys()
            else turn
            for turn in self._history.messages
        ]
        return type(self._history)(messages=turns)

    def _act(self, thought: Any, calls: ToolCalls) -> Flow[dict[str, Any] | None]:
        """Make the calls of a turn, and note it in the history; return the answer if it was submitted."""
        from dspex_core.types import ToolCallResults  # loads pydantic, as the tools have done

        values, failed, answer = [], [], None
        for call in calls.tool_calls:
            try:
                value = yield from self._called(call.name, call.args or {})
            except ToolExecutionError as error:
                self._errors.append(error)
                values.append(f"{error.tool} failed: {error.reason}")
                failed.append(True)
                continue
            values.append(as_observation(value, limit=self._agent.max_observation_chars))
            failed.append(False)
            if self._meant(call.name) == SUBMIT:
                answer = dict(value)
        results = ToolCallResults.from_tool_calls_and_values(calls, values, failed)
        event = {**self._pending, "tool_calls": calls.model_copy(update={"tool_call_results": results})}
        if thought:
            event["next_thought"] = thought
        self._history.messages.append({**event, **(answer or {})})
        self._pending = {}
        return answer

    def _called(self, name: str, args: Mapping[str, Any]) -> Flow[Any]:
        if self._meant(name) == SUBMIT:
            return self._agent.tools[SUBMIT].steps(args)
        return self._registry.steps(name, args)

    def _meant(self, name: str) -> str:
        return called_name(name, self._agent.tools)


def _submit(signature: type[Signature]) -> Tool:
    """Return the tool by which the agent answers: its arguments are the signature's outputs."""

    def submit(**outputs: Any) -> dict[str, Any]:
        missing = [name for name in signature.output_fields if name not in outputs]
        if missing:
            raise ValueError(f"it needs {', '.join(map(repr, missing))}, too")
        return outputs

    types = {name: field.annotation for name, field in signature.output_fields.items()}
    args = {name: _schema(annotation) for name, annotation in types.items()}
    return Tool(submit, name=SUBMIT, desc="Give the answer.", args=args, arg_types=types)


def _submitted(answer: Mapping[str, Any]) -> ToolCalls:
    from dspex_core.types import ToolCallResults, ToolCalls  # loads pydantic, as the tools have done

    calls = ToolCalls.from_dict_list([{"id": "call_before", "name": SUBMIT, "args": dict(answer)}])
    results = ToolCallResults.from_tool_calls_and_values(calls, [as_observation(answer)])
    return calls.model_copy(update={"tool_call_results": results})


def _schema(annotation: Any) -> dict[str, Any]:
    import pydantic  # loaded by the tools already

    return pydantic.TypeAdapter(annotation).json_schema()


def _turn(signature: type[Signature], tools: Iterable[str]) -> type[Signature]:
    """Return the signature of a turn: from the inputs and the turns before to a thought and calls."""
    from dspex_core.types import History, Reasoning, ToolCalls  # loads pydantic

    outputs = ", ".join(f"`{name}`" for name in signature.output_fields)
    instructions = (
        f"{signature.instructions}\n\nFind {outputs} with the help of the tools: {', '.join(tools)}. Call those that "
        f"give you what you still need to know. Once you know enough, call `{SUBMIT}` with {outputs}."
    )
    fields = {
        name: (field.annotation | None, InputField(desc=field.desc)) for name, field in signature.input_fields.items()
    }
    return (
        make_signature(fields, instructions)
        .append("history", InputField(), History)
        .append("tools", InputField(), list[Tool])
        .append("next_thought", OutputField(), Reasoning)
        .append("tool_calls", OutputField(), ToolCalls)
    )


def _as_history(given: Any) -> History:
    from dspex_core.types import History  # as above

    if given is None:
        return History(messages=[])
    return given if isinstance(given, History) else History.model_validate(given)


def _with_ids(calls: ToolCalls | None, number: int, *, only_submit: bool) -> ToolCalls | None:
    """Return the calls, each with an id, by which the model knows its result."""
    if calls is None:
        return None
    numbered = [
        call if call.id is not None else call.model_copy(update={"id": f"call_{number}_{place}"})
        for place, call in enumerate(calls.tool_calls)
        if call.name == SUBMIT or not only_submit
    ]
    return calls.model_copy(update={"tool_calls": numbered})
