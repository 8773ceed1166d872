"""HTTP requests and replies as the LM calls that they are: prompt, reply, tokens. PYTEST_DONT_REWRITE

Reports, and scores such as the tokens of a case, count the calls of other libraries with those of ours. The forms are
those of OpenAI (chat, completions, responses, embeddings), Anthropic, Google and Amazon; of others, a call has texts
only. Dollars are those of the list price.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dspex_core import LMOutput, LMRequest, LMResponse, Message, Usage
from dspex_core.plugin_api import list_price
from pytest_dspex.cassettes.exchange import json_or_none, prompt_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest

_PROMPT_TOKENS = ("prompt_tokens", "input_tokens", "promptTokenCount", "inputTokens", "prompt_eval_count")
_COMPLETION_TOKENS = ("completion_tokens", "output_tokens", "candidatesTokenCount", "outputTokens", "eval_count")
_SHOWN = 2_000  # characters of a reply of an unknown form


def as_request(request: HTTPRequest) -> LMRequest:
    """Return a request as that of an LM call: its messages, or its one text."""
    turns = request.body.get("messages") if isinstance(request.body, dict) else None
    messages = [
        Message(turn["role"], text_of(turn["content"]))
        for turn in (turns if isinstance(turns, list) else ())
        if isinstance(turn, dict)
        and turn.get("role") in ("system", "user", "assistant", "tool")
        and turn.get("content")
    ]
    text = prompt_of(request.body) or f"{request.method} {request.url}"
    return LMRequest(tuple(messages) or (Message("user", text),))


def as_response(reply: HTTPReply, *, model: str) -> LMResponse:
    """Return a reply as that of an LM call; the pieces of a stream are joined."""
    text = reply.body.decode(errors="replace")
    parts = [part for part in _parts(text) if isinstance(part, dict)]
    said = "".join(_said(parts))
    usage = _usage(parts)
    cost = list_price(model, usage) if usage.total_tokens else None
    return LMResponse((LMOutput(said or text[:_SHOWN]),), model=model, usage=usage, cost=cost)


def _parts(text: str) -> list[Any]:
    """Return the JSON data of a reply: the whole, or that of each event of a stream."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        events = [line.removeprefix("data:").strip() for line in text.splitlines()]
        return [found for event in events if event.startswith("{") and (found := json_or_none(event)) is not None]
    return whole if isinstance(whole, list) else [whole]


def _said(parts: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the texts of the first output of each part of a reply."""
    for part in parts:
        kind = part.get("type")
        if isinstance(kind, str) and kind.startswith(
            "response."
        ):  # OpenAI's responses: the last event repeats the texts
            if kind == "response.output_text.delta":
                yield str(part.get("delta") or "")
            continue
        for name in ("choices", "candidates", "output", "content", "delta", "message", "response", "text"):
            if part.get(name):
                yield _first_text(part[name])
                break


def _first_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        is_of_choices = any(isinstance(item, dict) and ("index" in item or "finishReason" in item) for item in value)
        return "".join(map(_first_text, value[:1] if is_of_choices else value))
    if not isinstance(value, dict):
        return ""
    for name in ("message", "delta", "content", "parts", "text"):
        if value.get(name):
            return _first_text(value[name])
    return ""


def _usage(parts: Iterable[dict[str, Any]]) -> Usage:
    """Return the tokens that a reply names; a stream may name them more than once, the last time in full."""
    prompt = completion = 0
    for part in parts:
        for holder in (part, part.get("response"), part.get("message")):
            if isinstance(holder, dict):
                counts = next((holder[name] for name in ("usage", "usageMetadata") if holder.get(name)), holder)
                prompt = _count(counts, _PROMPT_TOKENS) or prompt
                completion = _count(counts, _COMPLETION_TOKENS) or completion
    return Usage(prompt, completion)


def _count(counts: Any, names: Iterable[str]) -> int:
    found = (counts.get(name) for name in names) if isinstance(counts, dict) else ()
    return next((count for count in found if isinstance(count, int) and count > 0), 0)
