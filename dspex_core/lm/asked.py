"""The request in the arguments of an LM's call, and what the call returns. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.lm import openai_form
from dspex_core.lm.options import is_plain
from dspex_core.messages import LMRequest, Message, tool_from_json
from dspex_core.messages.typed import messages_of
from dspex_core.plain.display import value_text
from dspex_core.plain.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dspex_core.messages import LMResponse

_PAIR = 2


def plain_request(
    prompt: str | None, messages: Sequence[Mapping[str, Any] | Message] | None, config: dict[str, Any]
) -> LMRequest:
    """Return the request of a call with a prompt or messages.

    Raises:
        ValueError: It has both or neither.
        TypeError: They have another type.
    """
    if (prompt is None) == (messages is None):
        raise ValueError("call an LM with either a prompt or messages")
    turns = _turns(messages or ()) if prompt is None else (_asked(prompt),)
    if not config:
        return LMRequest(turns, config)
    rollout_id = config.pop("rollout_id", None)
    tools = tuple(map(tool_from_json, config.pop("tools", None) or ()))
    return LMRequest(turns, config, rollout_id=rollout_id, tools=tools)


def request_of(
    items: tuple[Any, ...],
    config: dict[str, Any],
    *,
    prompt: str | None = None,
    messages: Sequence[Mapping[str, Any] | Message] | None = None,
    request: LMRequest | None = None,
) -> LMRequest:
    """Return the request of a call: a prompt, messages, a request, or the items of a typed call.

    Raises:
        ValueError: More than one of these is given, or none.
        TypeError: They have another type.
    """
    if request is None and not items:
        return plain_request(prompt, messages, config)
    if request is None and prompt is None and messages is None and len(items) == 1 and isinstance(items[0], str):
        return plain_request(items[0], None, config)
    if len(items) == _PAIR and None in items and (prompt, messages, request) == (None, None, None):
        return plain_request(items[0], items[1], config)  # a prompt and messages, as before items could be given
    given = request if request is not None else items[0]
    if isinstance(given, LMRequest):
        if len(items) != (request is None) or prompt is not None or messages is not None:
            raise ValueError("call an LM with a request or with what it is made of, not both")
        turns = _turns(given.messages)
        return replace(given, messages=turns, config={**given.config, **config})
    if messages is not None:
        raise ValueError("call an LM with messages or with items, not both")
    return plain_request(None, messages_of(items if prompt is None else (prompt, *items)), config)


def returned(response: LMResponse, items: tuple[Any, ...], request: LMRequest | None) -> Any:
    """Return what a call returns: the response itself where a typed call asks for it."""
    is_typed = request is not None or (items and isinstance(items[0], LMRequest)) or current().experimental
    return response if is_typed else openai_form.said(response)


def to_keep(request: LMRequest) -> LMRequest:
    """Return a request for the history: without credentials and without options of the single call."""
    if request.on_chunk is None and request.options is None and (not request.config or is_plain(request.config)):
        return request
    return replace(request, config=without_secrets(request.config), on_chunk=None, options=None)


def _asked(prompt: str) -> Message:
    if not isinstance(prompt, str):
        raise TypeError(
            f"the prompt of an LM is a text, not {value_text(prompt, 200)}; pass a list of messages as messages="
        )
    return Message("user", prompt)


def _turns(messages: Sequence[Mapping[str, Any] | Message]) -> tuple[Message, ...]:
    try:
        return tuple([turn if isinstance(turn, Message) else Message.from_json(turn) for turn in messages])
    except (AttributeError, TypeError):
        message = (
            f"the messages of an LM are a list of dicts with 'role' and 'content', not {value_text(messages, 200)}"
        )
        raise TypeError(message) from None
