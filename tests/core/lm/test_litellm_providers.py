"""What other providers send, through LiteLLM: the right answer, or a typed error."""

import asyncio
import json

import pytest
from openai_server import Reply

from dspex_core.errors import (
    LMAuthError,
    LMBillingError,
    LMRefusalError,
    LMResponseError,
    LMServerError,
    LMTransportError,
)
from dspex_core.lm.client import LM
from dspex_core.messages import LMRequest, Message

CLAUDE, GEMINI = "anthropic/claude-3-5-sonnet-20241022", "gemini/gemini-2.0-flash"
USED = {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}}


def claude(*blocks, reason="end_turn", ends=True):
    """The events of a message, whose blocks are pairs of a type and its deltas."""
    usage = {"input_tokens": 3, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "c", "content": [], "usage": usage}
    events = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, (block, *deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    if ends:
        delta = {"stop_reason": reason, "stop_sequence": None}
        events += [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": 5}}, {"type": "message_stop"}]
    return Reply(body=events)


def gemini(*candidates, **rest):
    data = [{"candidates": [candidate], **rest} for candidate in candidates]
    return Reply(body="".join(f"data: {json.dumps(each)}\r\n\r\n" for each in data).encode())


TEXT = ({"type": "text", "text": ""}, {"type": "text_delta", "text": "Hel"}, {"type": "text_delta", "text": "lo"})
THOUGHT = ({"type": "thinking", "thinking": "", "signature": ""}, {"type": "thinking_delta", "thinking": "hm"})
HALF = {"content": {"parts": [{"text": "Hel"}], "role": "model"}, "index": 0}
REST = {"content": {"parts": [{"text": "lo"}], "role": "model"}, "index": 0, "finishReason": "STOP"}


def ask(server, model, reply, *, waiting="sync", on_chunk=None):
    server.replies.append(reply)
    lm = LM(model, api_base=server.base_url, api_key="sk-test", cache=False, num_retries=0, timeout=30)
    request = LMRequest((Message("user", "hi"),), on_chunk=on_chunk)
    return lm.complete(request) if waiting == "sync" else asyncio.run(lm.acomplete(request))


@pytest.mark.parametrize("waiting", ["sync", "async"])
@pytest.mark.parametrize(
    ("model", "reply", "reasoning"),
    [(CLAUDE, claude(THOUGHT, TEXT), "hm"), (GEMINI, gemini(HALF, REST, **USED), None)],
    ids=["claude", "gemini"],
)
def test_a_stream_is_emitted_as_it_arrives(server, model, reply, reasoning, waiting):
    told = []
    response = ask(server, model, reply, waiting=waiting, on_chunk=told.append)
    assert (response.text, response.outputs[0].reasoning, response.outputs[0].finish_reason) == (
        "Hello",
        reasoning,
        "stop",
    )
    assert [chunk.text for chunk in told if chunk.text] == ["Hel", "lo"]
    assert response.usage.input_tokens == 3


@pytest.mark.parametrize(
    ("model", "reply", "error"),
    [
        (CLAUDE, claude(reason="refusal"), LMRefusalError),
        (CLAUDE, claude(TEXT, ends=False), (LMTransportError, LMServerError)),
        (CLAUDE, Reply(body=b"<html>"), LMTransportError),
        (
            CLAUDE,
            Reply(body=[{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}]),
            LMServerError,
        ),
        (GEMINI, Reply(body=b""), LMTransportError),
        (GEMINI, gemini({"finishReason": "SAFETY", "index": 0}, **USED), LMRefusalError),
    ],
)
def test_a_stream_that_is_no_answer_is_an_error(server, model, reply, error):
    with pytest.raises(error):
        ask(server, model, reply, on_chunk=lambda chunk: None)


def refused(message, **rest):
    return Reply(status=400, body={"error": {"message": message, **rest}})


@pytest.mark.parametrize(
    ("model", "reply", "error"),
    [
        (CLAUDE, Reply(body={"type": "message", "role": "assistant", "stop_reason": "end_turn"}), LMResponseError),
        (CLAUDE, Reply(body=[1]), LMResponseError),
        (GEMINI, Reply(body={}), LMResponseError),
        (GEMINI, Reply(body={"candidates": [], "promptFeedback": {"blockReason": "SAFETY"}, **USED}), LMRefusalError),
        (GEMINI, refused("API key not valid. Please pass a valid API key.", status="INVALID_ARGUMENT"), LMAuthError),
        (CLAUDE, refused("Your credit balance is too low to access the Anthropic API."), LMBillingError),
    ],
)
def test_a_whole_reply_that_is_no_answer_is_an_error_of_its_kind(server, model, reply, error):
    with pytest.raises(error):
        ask(server, model, reply)
