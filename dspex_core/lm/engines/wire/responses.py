"""The wire format of OpenAI's responses. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.lm.engines.wire.base import RefusedError, read_name, read_usage, says_error
from dspex_core.lm.engines.wire.calls import read_call
from dspex_core.lm.engines.wire.content import Said, read_content
from dspex_core.lm.engines.wire.finish import answers, finish_reason
from dspex_core.messages import FunctionCall, GivenPart, GivenTool, LMChunk, LMOutput, LMResponse, MediaPart, TextPart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dspex_core.messages import FunctionSpec, Json, LMRequest, Message, Part

PATH = "responses"
EXPECTED = "a response"

_FAILED = ("failed", "cancelled")
_OPEN = ("queued", "in_progress")
_THOUGHTS = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")
_LAST = ("response.completed", "response.incomplete", "response.done")


def body(request: LMRequest, *, supports_schema: bool) -> Json:
    """Return the request body; a response schema is left out where the model does not support one."""
    payload: Json = {"input": [item for message in request.messages for item in _items(message)]}
    payload.update(_parameters(request.config))
    if request.tools:
        payload["tools"] = [_tool(tool) for tool in request.tools]
    schema = request.response_schema
    if schema is not None and supports_schema:
        payload["text"] = {**payload.get("text", {}), "format": {"type": "json_schema", **schema.to_json()}}
    return payload


def _parameters(config: Mapping[str, Any]) -> Json:
    """Return the sampling parameters under this API's names."""
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
    """Return the items of a message: function calls and their results are separate items."""
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}
        return
    content = message.content
    if message.role == "assistant":
        if content:  # the model's own output items are sent back unchanged
            parts = (TextPart(content),) if isinstance(content, str) else content
            yield {"type": "message", "role": "assistant", "content": [_part(part, "output_text") for part in parts]}
    else:
        yield {"role": message.role, "content": content if isinstance(content, str) else [*map(_part, content)]}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}


def _part(part: Part, kind: str = "input_text") -> Json:
    if isinstance(part, GivenPart):
        return part.to_json()
    if not isinstance(part, MediaPart):
        return {"type": kind, "text": part.text}
    value = dict(part.value)
    if part.kind == "image_url":
        return {"type": "input_image", "image_url": value.pop("url", ""), **value}
    return {"type": "input_file", **value} if part.kind == "file" else part.to_json()


def _tool(tool: FunctionSpec | GivenTool) -> Json:
    if isinstance(tool, GivenTool):
        form = dict(tool.form)
        return {**form.pop("function", {}), **form}  # here the members of a function stand beside its type
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
        "strict": False,  # as for chat functions; the default here is true, which restricts the schema
    }


def response(data: Any) -> LMResponse:
    """Read a whole reply."""
    if not isinstance(data, dict):
        raise ValueError("no object")  # noqa: TRY004  as for any malformed reply
    status = data.get("status")
    if status in _FAILED or (says_error(data) and not data.get("output")):
        raise RefusedError(data)
    if status in _OPEN:
        raise ValueError("a response that has not ended")
    outputs = answers([_output(data)])
    return LMResponse(outputs, model=read_name(data.get("model")), **read_usage(data))


def _output(data: Json) -> tuple[LMOutput, str]:
    """Return the output, and the refusal in its place."""
    said: list[Said] = []
    reasoning: list[str] = []
    calls: list[FunctionCall] = []
    for item in _listed_items(data):
        match item.get("type"):
            case "message":
                said.append(read_content(item.get("content")))
            case "reasoning":
                reasoning += _thoughts(item.get("summary")) or _thoughts(item.get("content"))
            case "function_call" if call := read_call({**item, "id": item.get("call_id") or item.get("id")}):
                calls.append(call)
    text = "".join(part.text for part in said)
    reasoning += [part.reasoning for part in said if part.reasoning]
    output = LMOutput(text, _finish_reason(data, calls), "\n\n".join(reasoning) or None, tuple(calls))
    return output, "".join(part.refusal for part in said)


def _listed_items(data: Json) -> list[Json]:
    output = data.get("output")
    if isinstance(output, list):
        return [item for item in output if isinstance(item, dict)]
    text = data.get("output_text") if output is None else output
    if not isinstance(text, str):
        if data.get("status") == "incomplete":
            return []
        raise ValueError("no output")
    return [{"type": "message", "content": text}]


def _thoughts(parts: Any) -> list[str]:
    listed = parts if isinstance(parts, list) else [parts]
    read = [read_content([part]) for part in listed]
    return [thought for said in read if (thought := said.text or said.reasoning)]


def _finish_reason(data: Json, calls: list[FunctionCall]) -> str:
    if data.get("status") == "incomplete":
        details = data.get("incomplete_details")
        return finish_reason(details.get("reason") if isinstance(details, dict) else details) or "incomplete"
    return "tool_calls" if calls else "stop"


def in_pieces(emit: Callable[[LMChunk], None]) -> _Pieces:
    """Return a reader of one reply that arrives in pieces."""
    return _Pieces(emit)


class _Pieces:
    """A streamed reply, whose last event holds all of it, or else only ends it."""

    def __init__(self, emit: Callable[[LMChunk], None]) -> None:
        self._emit = emit
        self._items: list[Json] = []
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._last: Json | None = None
        self._is_another_format = False

    def read(self, event: Any) -> None:
        """Process an event."""
        if event is None:
            return  # keep-alive
        kind = event.get("type")
        if kind == "response.output_text.delta":
            self._take_text(event.get("delta"))
        elif kind in _THOUGHTS:
            if text := read_content(event.get("delta")).text:
                self._emit(LMChunk("", text))
        elif kind in _LAST:
            self._last = _ended(event.get("response"), kind)
        else:
            self._take_rarer(event, kind)

    def _take_text(self, delta: Any) -> None:
        if text := read_content(delta).text:
            self._text.append(text)
            self._emit(LMChunk(text))

    def _take_rarer(self, event: Json, kind: Any) -> None:
        if kind == "response.refusal.delta":
            self._refusal.append(read_content(event.get("delta")).text)
        elif kind == "response.reasoning_summary_part.added" and event.get("summary_index"):
            self._emit(LMChunk("", "\n\n"))
        elif kind == "response.output_item.done" and isinstance(event.get("item"), dict):
            self._items.append(event["item"])
        elif kind == "response.failed" or says_error(event):
            raise RefusedError(event.get("response") or event)
        elif kind is None:
            self._is_another_format = True

    def end(self) -> None:
        """Ignore the end-of-stream mark: here, the last event marks the end."""

    def whole(self) -> LMResponse | None:
        """Return the response in the last event; some servers send its output only in earlier events."""
        if self._last is None:
            if self._is_another_format:
                raise ValueError("no events of a response")
            return None
        if self._last.get("output"):
            return response(self._last)
        parts = [
            {"type": "output_text", "text": "".join(self._text)},
            {"type": "refusal", "refusal": "".join(self._refusal)},
        ]
        return response({**self._last, "output": self._items or [{"type": "message", "content": parts}]})


def _ended(response: Any, kind: str) -> Json:
    """Return the response of a last event; its status defaults to the one in the event's name."""
    if not isinstance(response, dict):
        raise ValueError("no response")  # noqa: TRY004  as for any malformed reply
    return {**response, "status": response.get("status") or kind.removeprefix("response.")}
