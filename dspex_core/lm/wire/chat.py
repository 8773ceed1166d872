"""The wire format of chat completions. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.lm.wire.base import RefusedError, read_usage
from dspex_core.messages import FunctionCall, LMChunk, LMOutput, LMResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.messages import Json, LMRequest

PATH = "chat/completions"
EXPECTED = "a chat completion"


def body(request: LMRequest, *, supports_schema: bool) -> Json:
    """Return what is sent; a response schema is left out where the model cannot be held to one."""
    payload: Json = {"messages": [message.to_json() for message in request.messages], **request.config}
    if request.tools:
        payload["tools"] = [tool.to_json() for tool in request.tools]
    schema = request.response_schema
    if schema is not None and supports_schema:
        payload["response_format"] = {"type": "json_schema", "json_schema": schema.to_json()}
    return payload


def response(data: Json) -> LMResponse:
    """Read a whole reply."""
    outputs = tuple(_output(choice) for choice in data["choices"])
    if not outputs:
        raise ValueError("no choices")
    return LMResponse(outputs, model=data.get("model") or "", **read_usage(data))


def _output(choice: Json) -> LMOutput:
    message: Json = choice["message"]
    calls = message.get("tool_calls")
    return LMOutput(
        message.get("content") or "",
        finish_reason=choice.get("finish_reason"),
        reasoning=message.get("reasoning_content") or message.get("reasoning"),
        tool_calls=tuple(FunctionCall.from_json(call) for call in calls) if calls else (),
    )


def in_pieces(tell: Callable[[LMChunk], None]) -> ChatPieces:
    """Return a reader of one reply that arrives in pieces."""
    return ChatPieces(tell)


class ChatPieces:
    """A reply in pieces: each adds to one of the outputs."""

    def __init__(self, tell: Callable[[LMChunk], None]) -> None:
        self._tell = tell
        self._outputs: dict[int, _Growing] = {}
        self._model = ""
        self._usage: Json = {}
        self._ended = False

    def read(self, event: Json) -> None:
        """Take in an event. This runs once for every few letters."""
        if event.get("error"):
            raise RefusedError(event)
        if event.get("usage"):
            self._usage = event
        for choice in event["choices"]:
            number = choice.get("index") or 0
            output = self._outputs.get(number)
            if output is None:
                output = self._outputs[number] = _Growing()
                self._model = event.get("model") or ""
            delta: Json = choice["delta"]
            text = delta.get("content")
            if text and len(delta) == 1:  # which nearly all events bring
                output.text.append(text)
                self._tell(LMChunk(text, "", number))
            else:
                self._take(delta, output, number)
            if choice.get("finish_reason"):
                output.finish_reason = choice["finish_reason"]

    def _take(self, delta: Json, output: _Growing, number: int) -> None:
        text = delta.get("content") or ""
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        if text or reasoning:
            output.text.append(text)
            output.reasoning.append(reasoning)
            self._tell(LMChunk(text, reasoning, number))
        for call in delta.get("tool_calls") or ():
            output.add_call(call)

    def end(self) -> None:
        """Take note that the provider marked the end of the stream."""
        self._ended = True

    def whole(self) -> LMResponse | None:
        """Return the response; its end is marked, or each output says why it ended."""
        growing = [output for _, output in sorted(self._outputs.items())]
        if not self._ended and not (growing and all(output.finish_reason for output in growing)):
            return None
        if not growing:
            raise ValueError("no choices")
        outputs = tuple(output.so_far() for output in growing)
        return LMResponse(outputs, model=self._model, **read_usage(self._usage))


class _Growing:
    """One output, as far as it has arrived."""

    __slots__ = ("_calls", "finish_reason", "reasoning", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.finish_reason: str | None = None
        self._calls: dict[int, dict[str, Any]] = {}

    def add_call(self, piece: Json) -> None:
        """Add to a call: its id and its name come once, its arguments bit by bit."""
        number = piece.get("index")
        call = self._calls.setdefault(
            len(self._calls) if number is None else number,  # some servers send whole calls, without a number
            {"id": None, "name": "", "arguments": ""},
        )
        function: Json = piece.get("function") or {}
        call["id"] = piece.get("id") or call["id"]
        call["name"] = function.get("name") or call["name"]
        call["arguments"] += function.get("arguments") or ""

    def so_far(self) -> LMOutput:
        """Return the output."""
        calls = [call for _, call in sorted(self._calls.items())]
        return LMOutput(
            "".join(self.text),
            self.finish_reason,
            "".join(self.reasoning) or None,
            tuple(FunctionCall(call["name"], call["arguments"] or "{}", call["id"]) for call in calls),
        )
