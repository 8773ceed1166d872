"""The wire format of OpenAI's responses. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.lm.wire.base import RefusedError
from dspex_core.messages import FunctionCall, FunctionSpec, LMChunk, LMOutput, LMResponse, MediaPart, TextPart, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dspex_core.messages import Json, LMRequest, Message, Part

PATH = "responses"
EXPECTED = "a response"

_WHY_INCOMPLETE = {"max_output_tokens": "length"}  # a chat's word for it


def body(request: LMRequest, *, supports_schema: bool) -> Json:
    """Return what is sent; a response schema is left out where the model cannot be held to one."""
    payload: Json = {"input": [item for message in request.messages for item in _items(message)]}
    payload.update(_parameters(request.config))
    if request.tools:
        payload["tools"] = [_tool(tool) for tool in request.tools]
    schema = request.response_schema
    if schema is not None and supports_schema:
        payload["text"] = {**payload.get("text", {}), "format": {"type": "json_schema", **schema.to_json()}}
    return payload


def _parameters(config: Mapping[str, Any]) -> Json:
    """Return the sampling parameters under the names that they have here."""
    parameters = {name: value for name, value in config.items() if name != "n"}  # one response has one output
    for name in ("max_tokens", "max_completion_tokens"):
        if name in parameters:
            parameters["max_output_tokens"] = parameters.pop(name)
    if "reasoning_effort" in parameters:
        effort = parameters.pop("reasoning_effort")
        parameters.setdefault("reasoning", {"effort": effort, "summary": "auto"})
    match parameters.get("tool_choice"):
        case {"function": {"name": name}}:
            parameters["tool_choice"] = {"type": "function", "name": name}
    match parameters.pop("response_format", None):
        case {"type": "json_schema", "json_schema": schema}:
            parameters["text"] = {"format": {"type": "json_schema", **schema}}
        case {"type": str()} as kind:
            parameters["text"] = {"format": kind}
    return parameters


def _items(message: Message) -> Iterator[Json]:
    """Return the items that a message is here: function calls and their results are items of their own."""
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}
        return
    content = message.content
    if message.role == "assistant":
        if content:  # what the model said is written as it is read
            parts = (TextPart(content),) if isinstance(content, str) else content
            yield {"type": "message", "role": "assistant", "content": [_part(part, "output_text") for part in parts]}
    else:
        yield {"role": message.role, "content": content if isinstance(content, str) else [*map(_part, content)]}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _part(part: Part, kind: str = "input_text") -> Json:
    if not isinstance(part, MediaPart):
        return {"type": kind, "text": part.text}
    value = dict(part.value)
    if part.kind == "image_url":
        return {"type": "input_image", "image_url": value.pop("url", ""), **value}
    return {"type": "input_file", **value} if part.kind == "file" else part.to_json()


def _tool(tool: FunctionSpec) -> Json:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "strict": False,  # as a chat's functions are; here it is true by default, which asks for more of the schema
    }


def response(data: Json) -> LMResponse:
    """Read a whole reply."""
    usage = data.get("usage") or {}
    return LMResponse(
        (_output(data),),
        model=data.get("model") or "",
        usage=Usage(usage.get("input_tokens") or 0, usage.get("output_tokens") or 0),
        cost=usage.get("cost"),
    )


def _output(data: Json) -> LMOutput:
    text, reasoning, calls = [], [], []
    for item in data["output"]:
        match item["type"]:
            case "message":
                text += _texts(item.get("content"))
            case "reasoning":
                reasoning += _texts(item.get("summary")) or _texts(item.get("content"))
            case "function_call":
                calls.append(FunctionCall(item["name"], item.get("arguments") or "{}", item.get("call_id")))
    return LMOutput("".join(text), _finish_reason(data, calls), "\n\n".join(reasoning) or None, tuple(calls))


def _texts(parts: list[Json] | None) -> list[str]:
    return [part["text"] for part in parts or () if "text" in part]


def _finish_reason(data: Json, calls: list[FunctionCall]) -> str:
    if data.get("status") == "incomplete":
        reason = (data.get("incomplete_details") or {}).get("reason") or "incomplete"
        return _WHY_INCOMPLETE.get(reason, reason)
    return "tool_calls" if calls else "stop"


def in_pieces(tell: Callable[[LMChunk], None]) -> _Pieces:
    """Return a reader of one reply that arrives in pieces."""
    return _Pieces(tell)


class _Pieces:
    """A reply in pieces, of which the last holds all."""

    def __init__(self, tell: Callable[[LMChunk], None]) -> None:
        self._tell = tell
        self._response: LMResponse | None = None

    def read(self, event: Json) -> None:
        """Take in an event."""
        match event["type"]:
            case "response.output_text.delta":
                self._tell(LMChunk(event["delta"]))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                self._tell(LMChunk("", event["delta"]))
            case "response.reasoning_summary_part.added" if event.get("summary_index"):
                self._tell(LMChunk("", "\n\n"))
            case "response.completed" | "response.incomplete":
                self._response = response(event["response"])
            case "response.failed":
                raise RefusedError(event["response"])
            case "error":
                raise RefusedError(event)

    def end(self) -> None:
        """Take note that the provider marked the end of the stream: here, its last event is the mark."""

    def whole(self) -> LMResponse | None:
        """Return the response that the last event held."""
        return self._response
