"""Forms in which providers write reasons, content and calls, whole and in pieces."""

import json

import pytest

from dspex_core.lm.engines.wire import chat
from dspex_core.lm.engines.wire.base import DeclinedError, RefusedError

ARGUMENTS = '{"a": 1}'


def read(message, reason, *, in_pieces):
    """Read one output, whole or in pieces."""
    if not in_pieces:
        return chat.response({"choices": [{"index": 0, "message": message, "finish_reason": reason}]}).outputs[0]
    pieces = chat.in_pieces(lambda chunk: None)
    pieces.read({"choices": [{"index": 0, "delta": {"role": "assistant"}}]})
    pieces.read({"choices": [{"index": 0, "delta": message}]})
    pieces.read({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    return pieces.whole().outputs[0]


both = pytest.mark.parametrize("in_pieces", [False, True])


@both
@pytest.mark.parametrize("reason", ["MaxTokens", "max-tokens", "FINISH_REASON_MAX_TOKENS", "token_limit_reached"])
def test_a_reply_that_was_cut_off_is_known_in_any_words(reason, in_pieces):
    assert read({"content": "hi"}, reason, in_pieces=in_pieces).is_cut_off


@both
@pytest.mark.parametrize("reason", ["FINISH_REASON_SAFETY", "blocked", "MALICIOUS", "content-policy", "LANGUAGE"])
def test_a_reply_that_was_filtered_is_a_refusal_in_any_words(reason, in_pieces):
    with pytest.raises(DeclinedError):
        read({"content": None}, reason, in_pieces=in_pieces)


@both
@pytest.mark.parametrize("reason", ["failed", "network_error", "MALFORMED_FUNCTION_CALL", "cancelled", "ServerError"])
def test_a_reply_that_failed_is_an_error_in_any_words(reason, in_pieces):
    with pytest.raises(RefusedError):
        read({"content": "half an ans"}, reason, in_pieces=in_pieces)


CONTENTS = {
    "parts": ({"role": "model", "parts": [{"text": "hm", "thought": True}, {"text": "hi"}]}, "hm"),
    "list of a list": ([[{"type": "text", "text": "hi"}]], None),
    "text as content": ([{"type": "text", "content": "hi"}], None),
    "thought": ([{"text": "hm", "thought": True}, {"text": "hi"}], "hm"),
}


@both
@pytest.mark.parametrize(("content", "reasoning"), CONTENTS.values(), ids=CONTENTS)
def test_content_of_any_form_is_read(content, reasoning, in_pieces):
    output = read({"content": content}, "stop", in_pieces=in_pieces)
    assert (output.text, output.reasoning) == ("hi", reasoning)


CALLS = {
    "input": {"name": "f", "input": {"a": 1}},
    "parameters": {"name": "f", "parameters": {"a": 1}},
    "args": {"name": "f", "args": {"a": 1}},
    "fence": {"name": "f", "arguments": f"```json\n{ARGUMENTS}\n```"},
    "list of one": {"name": "f", "arguments": [{"a": 1}]},
    "text of a list of one": {"name": "f", "arguments": f"[{ARGUMENTS}]"},
    "encoded twice in a fence": {"name": "f", "arguments": f"```\n{json.dumps(ARGUMENTS)}\n```"},
}


@both
@pytest.mark.parametrize("form", CALLS.values(), ids=CALLS)
def test_arguments_are_read_from_any_place_and_form(form, in_pieces):
    [call] = read({"tool_calls": [{"id": "1", "function": form}]}, "tool_calls", in_pieces=in_pieces).tool_calls
    assert (call.name, json.loads(call.arguments)) == ("f", {"a": 1})


@both
@pytest.mark.parametrize("arguments", ["undefined", "None", "null", "", [], None, "[]"])
def test_no_arguments_are_none_in_any_words(arguments, in_pieces):
    function = {"name": "f", "arguments": arguments}
    [call] = read({"tool_calls": [{"id": "1", "function": function}]}, "tool_calls", in_pieces=in_pieces).tool_calls
    assert (call.name, call.arguments) == ("f", "{}")


def test_a_call_that_is_sent_again_at_the_end_is_one():
    pieces = chat.in_pieces(lambda chunk: None)
    for function in ({"name": "f", "arguments": '{"a"'}, {"arguments": ": 1}"}, {"name": "f", "arguments": '{"a":1}'}):
        delta = {"tool_calls": [{"index": 0, "id": "1", "function": function}]}
        pieces.read({"choices": [{"index": 0, "delta": delta}]})
    pieces.end()
    [call] = pieces.whole().outputs[0].tool_calls
    assert (call.name, json.loads(call.arguments), call.id) == ("f", {"a": 1}, "1")
