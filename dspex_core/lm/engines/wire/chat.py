"""The wire format of chat completions. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.lm.engines.wire.base import RefusedError, read_name, read_usage, says_error
from dspex_core.lm.engines.wire.calls import CallsInPieces, given_calls, read_calls
from dspex_core.lm.engines.wire.content import read_content, read_message
from dspex_core.lm.engines.wire.finish import answers, finish_reason
from dspex_core.messages import LMChunk, LMOutput, LMResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from dspex_core.messages import Json, LMRequest

PATH = "chat/completions"
EXPECTED = "a chat completion"

_ENDED_BY_ERROR = {"code": "server_error", "message": "the provider ended the reply with an error"}
_MAY_BE_EMPTY = ("content_filter", "length")  # Gemini leaves out the message


def body(request: LMRequest, *, supports_schema: bool) -> Json:
    """Return the request body; a response schema is left out where the model does not support one."""
    payload: Json = {"messages": [message.to_json() for message in request.messages], **request.config}
    if request.tools:
        payload["tools"] = [tool.to_json() for tool in request.tools]
    schema = request.response_schema
    if schema is not None and supports_schema:
        payload["response_format"] = {"type": "json_schema", "json_schema": schema.to_json()}
    return payload


def response(data: Any) -> LMResponse:
    """Read a whole reply, also of a text completion, whose choices hold the text elsewhere."""
    if not isinstance(data, dict):
        raise RefusedError(data) if _is_listed_error(data) else ValueError("no object")
    choices = _choices(data)
    read = [_output(choice, data) for choice in choices]
    if not any(output.text or output.tool_calls for output, _ in read) and says_error(data):
        raise RefusedError(data)
    return LMResponse(answers(read), model=read_name(data.get("model")), **read_usage(data))


def _is_listed_error(data: Any) -> bool:
    """Whether a reply is an error in a list of one, as Google's servers send it."""
    return isinstance(data, list) and len(data) == 1 and isinstance(data[0], dict) and says_error(data[0])


def _choices(data: Json) -> list[Json]:
    choices = data.get("choices")
    listed = choices if isinstance(choices, list) else [choices]
    return [choice for choice in listed if isinstance(choice, dict)]


def _output(choice: Json, data: Json) -> tuple[LMOutput, str]:
    """Return an output, and the refusal in its place."""
    message = _message(choice, "message", "delta")
    reason = finish_reason(choice.get("finish_reason"))
    _raise_error_of(choice, reason, data)
    if message is None:
        if reason not in _MAY_BE_EMPTY:
            raise ValueError("a choice without a message")
        message = {}
    said = read_message(message)
    output = LMOutput(said.text, reason, said.reasoning or None, read_calls(message), *_apart(choice, message))
    return output, said.refusal


def _apart(choice: Json, message: Json) -> tuple[Json | None, tuple[Json, ...]]:
    """Return the probabilities of a choice's tokens, and the citations that LiteLLM puts beside the text."""
    logprobs, of_provider = choice.get("logprobs"), message.get("provider_specific_fields")
    if logprobs is None and of_provider is None:  # nearly always
        return None, ()
    citations = of_provider.get("citations") if isinstance(of_provider, dict) else None
    cited = [each for group in _list(citations) for each in (group if isinstance(group, list) else [group])]
    found = logprobs if isinstance(logprobs, dict) and logprobs else None
    return found, tuple(each for each in cited if isinstance(each, dict))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _message(choice: Json, *places: str) -> Json | None:
    """Return the message of a choice, from the first place that holds one."""
    for place in places:
        if isinstance(message := choice.get(place), dict):
            return message
    return {"content": read_content(choice["text"]).text} if "text" in choice else None


def _raise_error_of(choice: Json, reason: str | None, data: Json) -> None:
    error = choice.get("error")
    if error or reason == "error":
        raise RefusedError({"error": error or data.get("error") or _ENDED_BY_ERROR})


def in_pieces(emit: Callable[[LMChunk], None]) -> ChatPieces:
    """Return a reader of one reply that arrives in pieces."""
    return ChatPieces(emit)


class ChatPieces:
    """A streamed reply: each piece adds to one of the outputs."""

    def __init__(self, emit: Callable[[LMChunk], None]) -> None:
        self._emit = emit
        self._outputs: dict[int, _Growing] = {}
        self._model = ""
        self._usage: Json = {}
        self._ended = False
        self._is_another_format = False

    def read(self, event: Any) -> None:
        """Process an event. This is a hot path: it runs once for every few letters."""
        try:
            [choice] = event["choices"]
            delta, number = choice["delta"], choice["index"]
            text, output = delta["content"], self._outputs[number]
            is_more_text = (
                type(text) is str
                and len(delta) == 1
                and not (choice.get("finish_reason") or event.get("usage") or event.get("error"))
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            is_more_text = False
        if not is_more_text:
            self._take(event)
        elif text:  # as nearly all events have it
            output.text.append(text)
            self._emit(LMChunk(text, "", number))

    def _take(self, event: Any) -> None:
        """Process an event of any form."""
        if not isinstance(event, dict):
            if event is None:
                return  # keep-alive
            raise RefusedError(event) if _is_listed_error(event) else ValueError("no object")
        if says_error(event):
            raise RefusedError(event)
        choices = _choices(event)
        if not self._take_usage(event, choices) and "choices" not in event:
            self._is_another_format = True
        for place, choice in enumerate(choices):
            number = choice.get("index")
            if type(number) is not int:
                number = place
            output = self._outputs.get(number)
            if output is None:
                output = self._outputs[number] = _Growing()
                self._model = self._model or read_name(event.get("model"))
            self._take_choice(choice, output, number)

    def _take_usage(self, event: Json, choices: list[Json]) -> bool:
        """Record the token usage if present; Groq and Moonshot send it in other places."""
        for place in (event, event.get("x_groq"), *choices):
            if isinstance(place, dict) and isinstance(place.get("usage"), dict):
                self._usage = place
                return True
        return False

    def _take_choice(self, choice: Json, output: _Growing, number: int) -> None:
        delta = _message(choice, "delta", "message") or {}
        said = read_message(delta)
        text = said.text
        if (
            not isinstance(choice.get("delta"), dict) and "message" in choice
        ):  # the message so far, or all of it at the end
            text = text.removeprefix("".join(output.text))
        if text or said.reasoning:
            output.text.append(text)
            output.reasoning.append(said.reasoning)
            self._emit(LMChunk(text, said.reasoning, number))
        output.refusal.append(said.refusal)
        for call in given_calls(delta):
            output.calls.add(call)
        reason = finish_reason(choice.get("finish_reason"))
        _raise_error_of(choice, reason, {})
        output.finish_reason = reason or output.finish_reason

    def end(self) -> None:
        """Process the provider's end-of-stream mark."""
        self._ended = True

    def whole(self) -> LMResponse | None:
        """Return the response once its end is marked or each output has a finish reason."""
        growing = [output for _, output in sorted(self._outputs.items())]
        if not growing and self._is_another_format:
            raise ValueError("no choices")
        if not growing or not (self._ended or all(output.finish_reason for output in growing)):
            return None
        outputs = answers([(output.so_far(), "".join(output.refusal)) for output in growing])
        return LMResponse(outputs, model=self._model, **read_usage(self._usage))


class _Growing:
    """An output that is still arriving."""

    __slots__ = ("calls", "finish_reason", "reasoning", "refusal", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.finish_reason: str | None = None
        self.calls = CallsInPieces()

    def so_far(self) -> LMOutput:
        """Return the output."""
        return LMOutput("".join(self.text), self.finish_reason, "".join(self.reasoning) or None, self.calls.whole())
