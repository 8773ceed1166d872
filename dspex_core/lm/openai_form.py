"""Requests and replies in the form of OpenAI's client, for custom LMs. PYTEST_DONT_REWRITE

A custom LM may define `forward(prompt, messages, **config)` and return a completion like OpenAI's client: an object of
that client, of LiteLLM or of a test, or a dict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dspex_core.errors import LMResponseError
from dspex_core.lm.engines.wire import wire_format
from dspex_core.messages import FunctionCall, LMOutput, LMResponse
from dspex_core.plain.attributes import attributes
from dspex_core.plain.display import value_text

if TYPE_CHECKING:
    from dspex_core.messages import Json, LMRequest

_CHOICES: Mapping[str, Any] = {"text": str, "finish_reason": str, "index": int, "logprobs": (dict, list)}
_MESSAGE: Mapping[str, Any] = {"role": str, "content": (str, list), "reasoning_content": str, "refusal": str}
_USAGE: Mapping[str, Any] = {"prompt_tokens": int, "completion_tokens": int, "total_tokens": int}


def call_arguments(request: LMRequest, *, besides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the arguments for `forward` or `__call__` of a custom LM, but for the `besides` that it knows itself."""
    messages, arguments = (
        [message.to_json() for message in request.messages],
        {**request.config, **(request.options or {})},
    )
    alone = len(messages) == 1 and messages[0]["role"] == "user" and isinstance(messages[0]["content"], str)
    if request.tools:
        arguments["tools"] = [tool.to_json() for tool in request.tools]
    if request.response_schema is not None:
        arguments["response_format"] = {"type": "json_schema", "json_schema": request.response_schema.to_json()}
    if request.rollout_id is not None:
        arguments["rollout_id"] = request.rollout_id
    known = besides or {}
    said = {name: value for name, value in arguments.items() if name not in known or known[name] != value}
    return {"prompt": messages[0]["content"] if alone else None, "messages": messages, **said}


def response_of(reply: Any, model: str) -> LMResponse:
    """Return a custom LM's reply as a response.

    Raises:
        LMResponseError: `reply` is not a chat completion, a text, or a list of texts and dicts.
    """
    if isinstance(reply, LMResponse):
        return reply if reply.model else replace(reply, model=model)
    if isinstance(reply, str):
        return LMResponse((LMOutput(reply),), model)
    try:
        if isinstance(reply, list | tuple):
            return LMResponse(tuple(map(_output, reply)), model)
        response = wire_format("chat").response(as_chat(plain(reply)))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        message = f"the reply is neither a chat completion nor a list of texts: {value_text(reply, 200)}"
        raise LMResponseError(message, model=model) from error
    return response if response.model else replace(response, model=model)


def plain(reply: Any) -> Json:
    """Return a reply of any object type as data; missing or wrongly typed parts are left out."""
    if isinstance(reply, Mapping):
        return dict(reply)
    dumped = reply.model_dump() if hasattr(reply, "model_dump") else None
    if isinstance(dumped, dict):  # a mock returns another mock
        return dumped
    data = _read(reply, {"model": str, "id": str, "data": list})
    if "data" in data:  # embeddings
        return data
    data["choices"] = [_choice(choice) for choice in reply.choices]
    usage = getattr(reply, "usage", None)
    data["usage"] = dict(usage) if isinstance(usage, Mapping) else _read(usage, _USAGE)
    return data


def as_chat(data: Json) -> Json:
    """Return a reply with the messages that a text completion lacks."""
    choices = [_plain_choice(choice) for choice in data["choices"]]
    usage = data.get("usage")
    return {**data, "choices": choices, "usage": usage if isinstance(usage, Mapping) else _read(usage, _USAGE)}


def as_reply(response: LMResponse) -> Any:
    """Return a response in the form of OpenAI's client: parts by key or by attribute."""
    usage = response.usage
    choices = [
        {
            "index": index,
            "finish_reason": output.finish_reason,
            "message": {
                "role": "assistant",
                "content": output.text,
                "tool_calls": [call.to_json() for call in output.tool_calls] or None,
                "reasoning_content": output.reasoning,
            },
        }
        for index, output in enumerate(response.outputs)
    ]
    counted = {**usage.to_json(), "total_tokens": usage.total_tokens}
    return attributes({"model": response.model, "object": "chat.completion", "choices": choices, "usage": counted})


def said(response: LMResponse) -> list[Any]:
    """Return the result of calling an LM: for each output its text, or a dict if it has more parts."""
    return [_parts(output) if _has_parts(output) else output.text for output in response.outputs]


def _has_parts(output: LMOutput) -> bool:
    return bool(output.reasoning or output.tool_calls or output.logprobs or output.citations)


def _parts(output: LMOutput) -> dict[str, Any]:
    parts: dict[str, Any] = {"text": output.text or None}
    if output.reasoning:
        parts["reasoning_content"] = output.reasoning
    if output.tool_calls:
        parts["tool_calls"] = [attributes(call.to_json()) for call in output.tool_calls]
    if output.logprobs:
        parts["logprobs"] = attributes(output.logprobs)
    if output.citations:
        parts["citations"] = list(output.citations)
    return parts


def _output(said: Any) -> LMOutput:
    if isinstance(said, Mapping):
        calls = tuple(FunctionCall.from_json(call) for call in said.get("tool_calls") or ())
        return LMOutput(said.get("text") or "", None, said.get("reasoning_content"), calls)
    if isinstance(said, str):
        return LMOutput(said)
    raise TypeError(f"an output must be a text or a dict, not {said!r}")


def _plain_choice(choice: Any) -> Json:
    choice = dict(choice) if isinstance(choice, Mapping) else _choice(choice)
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str):
        message = {"role": "assistant", "content": choice["text"]}
    return {**choice, "message": dict(message) if isinstance(message, Mapping) else _message(message)}


def _choice(choice: Any) -> Json:
    if isinstance(choice, Mapping):
        return dict(choice)
    message = getattr(choice, "message", None)
    found = _read(choice, _CHOICES)
    return found if message is None else {**found, "message": _message(message)}


def _message(message: Any) -> Json:
    if isinstance(message, Mapping):
        return dict(message)
    calls = getattr(message, "tool_calls", None)
    found = _read(message, _MESSAGE)
    if not found:
        raise ValueError("a choice has no message")
    if isinstance(calls, Sequence) and calls:
        found["tool_calls"] = [_call(call) for call in calls]
    return found


def _call(call: Any) -> Json:
    if isinstance(call, Mapping):
        return dict(call)
    function = call.function
    named = function if isinstance(function, Mapping) else _read(function, {"name": str, "arguments": (str, dict)})
    return {**_read(call, {"id": str}), "type": "function", "function": dict(named)}


def _read(source: Any, kinds: Mapping[str, Any]) -> Json:
    """Return the attributes of a foreign object that have the right type: mocks have all names."""
    values = {name: getattr(source, name, None) for name in kinds}
    return {name: value for name, value in values.items() if isinstance(value, kinds[name])}
