"""Tool calls that a model asks for, and their results. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import pydantic
from pydantic.json_schema import SkipJsonSchema

from dspex_core.messages import FunctionCall, Message
from dspex_core.plain.prompt_values import FunctionCalls
from dspex_core.plain.reading.forgiving import means_nothing
from dspex_core.plain.repair import repaired
from dspex_core.types.observation import as_observation


class ToolCalls(pydantic.BaseModel, FunctionCalls):
    """Tool calls that a model asks for: an output of a signature that has an input `list[Tool]`.

    Args:
        tool_calls: The calls, in the model's order.
        tool_call_results: Their results, once known; with them, the calls are a turn of a `History`.
    """

    class ToolCall(pydantic.BaseModel):
        """A tool call that a model asks for.

        Args:
            id: The provider's id; `None` if the model wrote the call as text.
            name: The tool's name.
            args: Its arguments; from outside also as JSON text, which may be broken.
        """

        id: SkipJsonSchema[str | None] = None
        name: str
        args: dict[str, Any]

        @pydantic.model_validator(mode="before")
        @classmethod
        def _from_any_form(cls, value: Any) -> Any:
            return _normalized(value) if isinstance(value, Mapping) else value

        @pydantic.model_serializer(mode="wrap")
        def _without_nothing(self, handler: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
            return _given(handler(self))

        def format(self) -> dict[str, Any]:
            """Return the call in the form that models write."""
            return {"name": self.name, "args": self.args}

        def execute(self, functions: Mapping[str, Callable[..., Any]] | Sequence[Any] = ()) -> Any:
            """Call the tool and return its result.

            Args:
                functions: The tools: functions by name, or a list of tools.

            Raises:
                ValueError: No tool has the name.
                RuntimeError: The call failed; the error is its cause.
            """
            known = functions if isinstance(functions, Mapping) else {tool.name: tool for tool in functions}
            if self.name not in known:
                names = ", ".join(map(repr, known)) or "none; pass them with functions="
                message = f"there is no tool {self.name!r} among those given: {names}"
                raise ValueError(message)
            try:
                return known[self.name](**self.args)
            except Exception as error:
                raise RuntimeError(f"the tool {self.name!r} failed: {error}") from error

    tool_calls: list[ToolCall]
    tool_call_results: SkipJsonSchema[Any] = None

    @classmethod
    def from_dict_list(cls, tool_calls_dicts: Sequence[Mapping[str, Any]]) -> Self:
        """Make tool calls of dicts, each with `name` and `args`."""
        return cls.model_validate({"tool_calls": list(tool_calls_dicts)})

    @classmethod
    def description(cls) -> str:
        """Say what calls look like."""
        return 'A JSON object such as {"tool_calls": [{"name": "search", "args": {"query": "otters"}}]}.'

    def format(self) -> dict[str, Any]:
        """Return the calls in the form that models write."""
        return {"tool_calls": [call.format() for call in self.tool_calls]}

    def results(self) -> dict[str, Any]:
        """Return the calls' `tool_call_results`; empty if they are not known."""
        found = self._results()
        shown = [{"name": result.name, "value": as_observation(result.value)} for result in found]
        return {"tool_call_results": shown} if shown else {}

    def turn(self, text: str, number: int) -> tuple[Message, ...]:
        """Return the messages of the turn `number` in which the model wrote `text` and asked for these calls.

        Providers refuse calls without results, so the calls are left out unless each has a result.
        """
        results = self._results()
        if not results or [result.call_id for result in results] != [call.id for call in self.tool_calls]:
            return (Message("assistant", text),) if text else ()
        calls, answers = [], []
        for index, (call, result) in enumerate(zip(self.tool_calls, results, strict=True)):
            known_as = call.id or f"call_{number}_{index}"  # the model wrote it as text
            arguments = json.dumps(call.args, ensure_ascii=False, default=str)
            calls.append(FunctionCall(call.name, arguments, known_as))
            answers.append(Message("tool", as_observation(result.value), tool_call_id=known_as))
        return (Message("assistant", text, tool_calls=tuple(calls)), *answers)

    def _results(self) -> list[ToolCallResults.ToolCallResult]:
        return ToolCallResults.model_validate(self.tool_call_results or []).tool_call_results

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_any_form(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"tool_calls": value}
        if isinstance(value, Mapping) and "tool_calls" not in value:
            return {"tool_calls": [value]}
        return value

    @pydantic.model_serializer(mode="wrap")
    def _without_nothing(self, handler: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _given(handler(self))


class ToolCallResults(pydantic.BaseModel):
    """The results of `ToolCalls`, in their order."""

    class ToolCallResult(pydantic.BaseModel):
        """The result of one call.

        Args:
            call_id: The id of the call.
            name: The tool's name.
            value: The result, or the error's text.
            is_error: Whether the call failed.
        """

        call_id: str | None = None
        name: str
        value: Any
        is_error: bool = False

    tool_call_results: list[ToolCallResult]

    @classmethod
    def from_tool_calls_and_values(
        cls,
        tool_calls: ToolCalls | Sequence[ToolCalls.ToolCall],
        values: Sequence[Any],
        is_errors: Sequence[bool] | None = None,
    ) -> Self:
        """Pair calls with their results; `is_errors` marks failed calls.

        Raises:
            ValueError: The lists differ in length.
        """
        calls = tool_calls.tool_calls if isinstance(tool_calls, ToolCalls) else tool_calls
        failed = [False] * len(calls) if is_errors is None else is_errors
        if not len(calls) == len(values) == len(failed):
            message = f"got {len(calls)} calls, {len(values)} values and {len(failed)} is_errors; give equally many"
            raise ValueError(message)
        return cls(
            tool_call_results=[
                cls.ToolCallResult(call_id=call.id, name=call.name, value=value, is_error=is_error)
                for call, value, is_error in zip(calls, values, failed, strict=True)
            ]
        )

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_any_form(cls, value: Any) -> Any:
        if isinstance(value, list):
            return {"tool_call_results": value}
        if isinstance(value, Mapping) and "tool_call_results" not in value:
            return {"tool_call_results": [value]}
        return value


def _given(stored: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in stored.items() if value is not None}


def _normalized(call: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call in our form, from DSPy's form or that of chat completions or responses."""
    function = call.get("function")
    given = {**call, **function} if isinstance(function, Mapping) else call
    normalized = {"id": call.get("call_id") or call.get("id")}
    if "name" in given:
        normalized["name"] = given["name"]
    arguments = given.get("args", given.get("arguments"))
    if arguments is not None or isinstance(function, Mapping):
        normalized["args"] = _arguments(arguments)
    return normalized


def _arguments(given: Any) -> Any:
    """Return arguments as data; they may be JSON text, also encoded twice or in a list, or stand for none."""
    if given is None or given in ("", []) or (isinstance(given, str) and means_nothing(given.strip() or "null")):
        return {}
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], dict):
        return given[0]
    if not isinstance(given, str):
        return given
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        return next((found for found in repaired(given) if isinstance(found, dict)), given)
    return found if isinstance(found, dict) else _arguments(found)
