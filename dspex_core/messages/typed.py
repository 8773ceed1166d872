"""Messages, their parts and a call's parameters, by DSPy's typed names. PYTEST_DONT_REWRITE

lm(System("You are concise."), User("What is on it?", LMImagePart(url="https://example.com/dog.png")))
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from dspex_core.errors.shown import value_text
from dspex_core.messages.canonical import canonical_json
from dspex_core.messages.conversation import Message
from dspex_core.messages.functions import FunctionCall
from dspex_core.messages.parts import GivenPart, MediaPart, Part, TextPart, part_from_json
from dspex_core.messages.response import LMOutput as Output
from dspex_core.messages.response import LMResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

LMTextPart = TextPart
LMPart: TypeAlias = Part | FunctionCall


class LMConfig(dict[str, Any]):
    """The parameters of a request, by key or attribute; one that every request may have is None if it is not given."""

    def __init__(self, values: Mapping[str, Any] | None = None, /, **config: Any) -> None:
        given = {**(values or {}), **config}
        super().__init__({name: value for name, value in given.items() if value is not None})

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        if name in _OF_EVERY_REQUEST:
            return None
        raise AttributeError(f"the request has no parameter {name!r}; it has: {', '.join(self) or 'none'}")


_OF_EVERY_REQUEST = frozenset({"temperature", "max_tokens", "top_p", "stop", "n", "logprobs", "tool_choice"})


def System(*parts: Any, name: str | None = None) -> Message:  # noqa: N802  DSPy's name
    """Return a message that says how to answer."""
    return message_of("system", parts, name=name)


def Developer(*parts: Any, name: str | None = None) -> Message:  # noqa: N802  DSPy's name
    """Return a message with the developer's instructions, for providers that know that role."""
    return message_of("developer", parts, name=name)


def User(*parts: Any, name: str | None = None) -> Message:  # noqa: N802  DSPy's name
    """Return a message with what the user says: texts, images, sounds, files."""
    return message_of("user", parts, name=name)


def Assistant(*parts: Any, name: str | None = None) -> Message:  # noqa: N802  DSPy's name
    """Return a message that the model has written earlier: texts and calls of tools."""
    return message_of("assistant", parts, name=name)


def ToolCall(  # noqa: N802  DSPy's name
    *,
    name: str,
    args: Mapping[str, Any] | None = None,
    id: str | None = None,  # noqa: A002  DSPy's name
) -> FunctionCall:
    """Return a call of a tool, for `Assistant(...)`."""
    return FunctionCall(name, canonical_json(dict(args or {})), id)


LMToolCallPart = ToolCall


def ToolResult(*parts: Any, call_id: str | None = None, name: str | None = None, content: Any = None) -> Message:  # noqa: N802  DSPy's name
    """Return a message with the result of a tool's call.

    Raises:
        TypeError: The result is given by position and as `content`.
    """
    if content is not None:
        if parts:
            raise TypeError("ToolResult takes the result by position or as content=, not both")
        parts = tuple(content) if isinstance(content, list) else (content,)
    return message_of("tool", parts, name=name, tool_call_id=call_id)


def LMMessage(  # noqa: N802  DSPy's name
    *,
    role: str,
    parts: Sequence[Any] | None = None,
    content: Any = None,
    name: str | None = None,
    tool_calls: Sequence[Any] = (),
    tool_call_id: str | None = None,
) -> Message:
    """Return a message of a role: of parts, or of OpenAI's content."""
    if parts is None:
        parts = content if isinstance(content, list) else () if content is None else (content,)
    calls = [call if isinstance(call, FunctionCall) else FunctionCall.from_json(call) for call in tool_calls]
    return message_of(role, (*parts, *calls), name=name, tool_call_id=tool_call_id)


def LMImagePart(  # noqa: N802  DSPy's name
    *,
    url: str | None = None,
    data: str | None = None,
    path: str | PathLike[str] | None = None,
    media_type: str = "image/png",
    detail: str | None = None,
) -> MediaPart:
    """Return an image of one source: a URL, base64 data, or a file."""
    address = _address("LMImagePart", url=url, data=data, path=path, media_type=media_type)
    return MediaPart("image_url", {"url": address} if detail is None else {"url": address, "detail": detail})


def LMAudioPart(  # noqa: N802  DSPy's name
    *, data: str | None = None, path: str | PathLike[str] | None = None, media_type: str = "audio/wav"
) -> MediaPart:
    """Return a sound of one source: base64 data, or a file."""
    address = _address("LMAudioPart", url=None, data=data, path=path, media_type=media_type)
    form = media_type.partition("/")[2]
    return MediaPart("input_audio", {"data": address.partition(",")[2], "format": "mp3" if form == "mpeg" else form})


def LMBinaryPart(  # noqa: N802  DSPy's name
    *,
    data: str | None = None,
    path: str | PathLike[str] | None = None,
    file_id: str | None = None,
    media_type: str = "application/octet-stream",
    filename: str | None = None,
) -> MediaPart:
    """Return a file of one source: base64 data, a path, or the provider's id of it."""
    if file_id is not None and data is None and path is None:
        return MediaPart("file", {"file_id": file_id})
    address = _address("LMBinaryPart", url=None, data=data, path=path, media_type=media_type)
    named = filename or (Path(path).name if path is not None else None)
    return MediaPart("file", {"file_data": address} if named is None else {"file_data": address, "filename": named})


def LMUsage(**counts: Any) -> Usage:  # noqa: N802  DSPy's name
    """Return the tokens spent, by either pair of names: `prompt_tokens` or `input_tokens`, ..."""
    return Usage.from_counts(counts)


def LMOutput(  # noqa: N802  DSPy's name
    parts: Sequence[Any] = (), *, finish_reason: str | None = None, logprobs: Any = None, **_: Any
) -> Output:
    """Return an output of a typed LM: DSPy's `LMOutput(parts=[...])`."""
    message = message_of("assistant", parts)
    return Output(message.text, finish_reason, None, message.tool_calls, logprobs)


def message_of(role: str, parts: Sequence[Any], *, name: str | None = None, tool_call_id: str | None = None) -> Message:
    """Return a message of parts: texts, OpenAI's dicts, what the functions here return, and calls of tools.

    Raises:
        TypeError: A part is something else.
        ValueError: A dict is not a part.
    """
    calls = tuple(part for part in parts if isinstance(part, FunctionCall))
    shown = tuple(_part(part) for part in parts if not isinstance(part, FunctionCall))
    text_only = not shown or (len(shown) == 1 and isinstance(shown[0], TextPart))
    content: str | tuple[Part, ...] = "".join(part.text for part in shown) if text_only else shown
    return Message(role, content, calls, tool_call_id, None if name is None else {"name": name})


def messages_of(items: Sequence[Any]) -> tuple[Message, ...]:
    """Return the conversation in the items of a call: messages and earlier responses, or else parts of one question."""
    if len(items) == 1 and isinstance(items[0], list | tuple):
        items = items[0]
    if items and all(isinstance(item, Message | LMResponse) for item in items):
        return tuple(turn for item in items for turn in _turns(item))
    return (message_of("user", items),)


def _turns(item: Message | LMResponse) -> tuple[Message, ...]:
    if isinstance(item, Message):
        return (item,)
    return tuple(Message("assistant", output.text, output.tool_calls) for output in item.outputs)


def _part(part: Any) -> Part:
    if isinstance(part, str):
        return TextPart(part)
    if isinstance(part, TextPart | MediaPart | GivenPart):
        return part
    if isinstance(part, dict):
        return part_from_json(part)
    raise TypeError(f"a part of a message is a text, or such as LMImagePart(url=...), not {value_text(part, 200)}")


def _address(kind: str, *, url: str | None, data: str | None, path: Any, media_type: str) -> str:
    if sum(source is not None for source in (url, data, path)) != 1:
        raise ValueError(f"{kind} takes one source: url=, data= or path=")
    if url is not None:
        return url
    encoded = data if path is None else base64.b64encode(Path(path).read_bytes()).decode()
    return f"data:{media_type};base64,{encoded}"
