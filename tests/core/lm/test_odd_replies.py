"""Replies in other forms than OpenAI's, and in none: each is a response or an `LMError`."""

import copy
import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai_server import OpenAIServer, Reply, completion, response, response_events, text_completion

from dspex_core.errors import LMError, LMRateLimitError, LMTransportError
from dspex_core.lm.client import LM
from dspex_core.messages import FunctionCall, LMChunk, LMRequest, LMResponse, Message, Usage

HI = (Message("user", "hi"),)
EVENTS = {"Content-Type": "text/event-stream"}
MODELS = {"chat": "openai/gpt-4o-mini", "text": "openai/gpt-3.5-turbo-instruct", "responses": "openai/gpt-4o-mini"}


def lm_of(server, model_type="chat", **arguments):
    given = {"num_retries": 0, "cache": False, **arguments}
    return LM(MODELS[model_type], model_type, api_base=server.base_url, api_key="k", engine="direct", **given)


@pytest.fixture
def ask(server):
    """Ask for a reply whole, or with `told` in pieces that are added to it."""

    def ask(reply, told=None, **arguments):
        server.replies.append(reply)
        on_chunk = None if told is None else told.append
        return lm_of(server, **arguments).request(LMRequest(HI, on_chunk=on_chunk))

    return ask


def chunk(delta, **choice):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None, **choice}]}


LAST = chunk({}, finish_reason="stop")
THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}

MESSAGES = {
    "parts": ({"content": [THINKING, {"type": "text", "text": "Par"}, {"type": "output_text", "text": "is"}]}, "hm"),
    "texts": ({"content": ["Par", "is"]}, None),
    "unknown parts": ({"content": [{"type": "chart", "data": 1}, {"type": "text", "text": "Paris"}, 7, None]}, None),
    "one part": ({"content": {"type": "text", "text": "Paris"}}, None),
    "reasoning": ({"content": "Paris", "reasoning": "hm"}, "hm"),
    "reasoning_content": ({"content": "Paris", "reasoning_content": "hm", "reasoning": "hm"}, "hm"),
    "thinking_blocks": ({"content": "Paris", "thinking_blocks": [{"type": "thinking", "thinking": "hm"}]}, "hm"),
    "details": ({"content": "Paris", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, "hm"),
}


@pytest.mark.parametrize(("message", "reasoning"), MESSAGES.values(), ids=MESSAGES)
class TestContent:
    def test_of_any_form_is_read(self, ask, message, reasoning):
        output = ask(Reply(body={"choices": [{"message": message, "finish_reason": "stop"}]})).outputs[0]
        assert (output.text, output.reasoning) == ("Paris", reasoning)

    def test_in_pieces_too(self, ask, message, reasoning):
        told = []
        output = ask(Reply(body=[chunk(message), LAST]), told).outputs[0]
        assert (output.text, output.reasoning) == ("Paris", reasoning)
        assert "".join(piece.text for piece in told) == "Paris"


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, ""), ("", ""), ([], ""), ({"answer": "Paris"}, '{"answer":"Paris"}'), (7, "7"), (True, "true")],
)
def test_content_that_is_data_is_its_json_text(ask, content, text):
    assert ask(Reply(body={"choices": [{"message": {"content": content}}]})).text == text


STREAMS = {
    "no index, no finish": [{"choices": [{"delta": {"content": "Paris"}}]}, b"[DONE]"],
    "no [DONE]": [chunk({"content": "Paris"}), LAST],
    "usage alone": [chunk({"content": "Paris"}), LAST, {"usage": {"prompt_tokens": 1}}, b"[DONE]"],
    "choices null": [{"choices": None}, chunk({"content": "Paris"}), LAST, {"choices": None, "usage": None}],
    "delta null": [{"choices": [{"index": 0, "delta": None}]}, chunk({"content": "Paris"}), LAST],
    "role alone": [chunk({"role": "assistant"}), chunk({"content": "Paris", "role": "assistant"}), LAST],
    "a message": [{"choices": [{"index": 0, "message": {"content": "Paris"}, "finish_reason": "stop"}]}],
    "the message again": [
        chunk({"content": "Par"}),
        chunk({"content": "is"}),
        {"choices": [{"index": 0, "message": {"content": "Paris"}, "finish_reason": "stop"}]},
    ],
    "after the end": [chunk({"content": "Paris"}), LAST, chunk({"content": ""}), {"choices": [{"index": 0}]}],
    "signs of life": [None, chunk({"content": "Paris"}), b": ping", LAST],
    "two in one event": [json.dumps(chunk({"content": "Paris"})).encode() + b"\ndata: " + json.dumps(LAST).encode()],
    "the end in it": [json.dumps(chunk({"content": "Paris"})).encode() + b"\ndata: [DONE]"],
    "a comment behind": [json.dumps(chunk({"content": "Paris"})).encode() + b" : x", LAST],
}


@pytest.mark.parametrize("events", STREAMS.values(), ids=STREAMS)
def test_streams_of_any_form_are_read(ask, events):
    told = []
    assert ask(Reply(body=events), told).text == "Paris"
    assert told == [LMChunk("Paris")] or told == [LMChunk("Par"), LMChunk("is")]


def as_events(newline="\n", prefix="data: "):
    texts = [json.dumps(chunk({"content": word})) for word in ("Par", "is")]
    return "".join(f"{prefix}{text}{newline}{newline}" for text in (*texts, json.dumps(LAST), "[DONE]")).encode()


@pytest.mark.parametrize(
    "body",
    [
        as_events("\r"),
        as_events("\r\n"),
        as_events(prefix="data:"),
        as_events(prefix=": ping\nevent: message\nid: 1\nretry: 5\ndata: "),
        b"\xef\xbb\xbf" + as_events(),
        as_events("\r\n")[:40] + as_events("\r\n")[40:],
        as_events().replace(b'"model": "m", ', b'"model": "m",\ndata: '),
        b"\n\n" + as_events(),
    ],
)
@pytest.mark.parametrize("headers", [EVENTS, {"Content-Type": "text/plain"}])
@pytest.mark.parametrize("in_pieces", [True, False])
def test_line_ends_comments_and_the_content_type_do_not_matter(ask, body, headers, in_pieces):
    assert ask(Reply(body=body, headers=headers), [] if in_pieces else None).text == "Paris"


@pytest.mark.parametrize("body", [completion("Paris"), [chunk({"content": "Paris"}), LAST]])
def test_json_under_the_content_type_of_events_is_read(ask, body):
    lines = [body] if isinstance(body, dict) else body
    told = []
    reply = Reply(body=b"\n".join(json.dumps(line).encode() for line in lines), headers=EVENTS)
    assert ask(reply, told).text == "Paris"
    assert told == [LMChunk("Paris")]


@pytest.mark.parametrize(
    "event",
    [
        b'{"message": "slow down", "code": 429}',
        b'{"error": {"message": "slow down", "type": "rate_limit_error"}}',
        b"rate limit: slow down",
    ],
)
def test_an_event_named_error_is_one(ask, event):
    body = as_events().replace(b"data: [DONE]", b"event: error\ndata: " + event)
    with pytest.raises(LMRateLimitError, match="slow down"):
        ask(Reply(body=body, headers=EVENTS), [])


@pytest.mark.parametrize("body", [b"", b"\n \n"])
@pytest.mark.parametrize("in_pieces", [True, False])
def test_an_empty_reply_is_a_failure_that_may_pass(ask, body, in_pieces):
    with pytest.raises(LMTransportError):
        ask(Reply(body=body), [] if in_pieces else None)
    assert ask(Reply(body=body), [] if in_pieces else None, num_retries=1).text == "ok"


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"prompt_tokens": "7", "completion_tokens": 3.0}, Usage(7, 3)),
        ({"prompt_tokens": 7, "total_tokens": 10}, Usage(7, 3)),
        ({"completion_tokens": 3, "total_tokens": 10}, Usage(7, 3)),
        ({"input_tokens": 7, "output_tokens": 3, "details": {"a": None}}, Usage(7, 3)),
        ({"prompt_tokens": None, "completion_tokens": float("nan"), "cost": "x"}, Usage()),
        ({"prompt_tokens": -1, "completion_tokens": [], "total_tokens": True}, Usage()),
        ("many", Usage()),
        ([7, 3], Usage()),
        (None, Usage()),
    ],
)
def test_tokens_in_any_form_are_counted_as_far_as_they_are_said(ask, usage, read):
    assert ask(Reply(body={**completion("ok"), "usage": usage})).usage == read
    assert ask(Reply(body=[chunk({"content": "ok"}), LAST, {"choices": [], "usage": usage}]), []).usage == read


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, "{}"),
        ("", "{}"),
        (" ", "{}"),
        ([], "{}"),
        ({}, "{}"),
        ("null", "{}"),
        ("[]", "{}"),
        ({"city": "Oslo"}, '{"city":"Oslo"}'),
        ('{"city": "Oslo"}', '{"city": "Oslo"}'),
        (json.dumps('{"city": "Oslo"}'), '{"city": "Oslo"}'),
        (json.dumps(json.dumps('{"city": "Oslo"}')), '{"city": "Oslo"}'),
    ],
)
def test_arguments_of_any_form_are_json_text(ask, given, read):
    function = {"name": "weather", "arguments": given}
    for message in ({"tool_calls": [{"id": "1", "function": function}]}, {"function_call": function}):
        for reply, told in (
            (Reply(body={"choices": [{"message": {"content": None, **message}}]}), None),
            (Reply(body=[chunk(message), LAST]), []),
        ):
            [call] = ask(reply, told).outputs[0].tool_calls
            assert (call.name, call.arguments) == ("weather", read)


def piece(index=None, id_=None, name=None, arguments=None):
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    given = {"index": index, "id": id_, "function": function}
    return {key: value for key, value in given.items() if value is not None}


OSLO, ROME = '{"city": "Oslo"}', '{"city": "Rome"}'
TWO = (FunctionCall("weather", OSLO, "1"), FunctionCall("weather", ROME, "2"))
ANONYMOUS = (FunctionCall("weather", OSLO), FunctionCall("weather", ROME))
PIECES = {
    "as OpenAI": (
        [piece(0, "1", "weather", ""), piece(0, arguments=OSLO), piece(1, "2", "weather"), piece(1, arguments=ROME)],
        TWO,
    ),
    "interleaved": (
        [piece(0, "1", "weather"), piece(1, "2", "weather"), piece(1, arguments=ROME), piece(0, arguments=OSLO)],
        TWO,
    ),
    "whole, equal index": ([piece(0, "1", "weather", OSLO), piece(0, "2", "weather", ROME)], TWO),
    "whole, no index": ([piece(None, "1", "weather", OSLO), piece(None, "2", "weather", ROME)], TWO),
    "whole, no index, no id": ([piece(None, None, "weather", OSLO), piece(None, None, "weather", ROME)], ANONYMOUS),
    "whole, equal index, no id": ([piece(0, None, "weather", OSLO), piece(0, None, "weather", ROME)], ANONYMOUS),
    "pieces, equal index": (
        [
            piece(0, "1", "weather", OSLO[:5]),
            piece(0, arguments=OSLO[5:]),
            piece(0, "2", "weather", ROME[:5]),
            piece(0, arguments=ROME[5:]),
        ],
        TWO,
    ),
    "pieces, no index": (
        [
            piece(None, "1", "weather", ""),
            piece(arguments=OSLO),
            piece(None, "2", "weather", ""),
            piece(arguments=ROME),
        ],
        TWO,
    ),
    "id and name repeated": (
        [
            piece(0, "1", "weather", OSLO[:5]),
            piece(0, "1", "weather", OSLO[5:]),
            piece(1, "2", "weather", ROME[:5]),
            piece(1, "2", "weather", ROME[5:]),
        ],
        TWO,
    ),
    "id repeated, no index": (
        [
            piece(None, "1", "weather", ""),
            piece(None, "2", "weather", ""),
            piece(None, "1", None, OSLO),
            piece(None, "2", None, ROME),
        ],
        TWO,
    ),
    "name in pieces": (
        [piece(0, "1", "wea"), piece(0, name="ther"), piece(0, arguments=OSLO), piece(1, "2", "weather", ROME)],
        TWO,
    ),
    "arguments as objects": (
        [piece(0, "1", "weather", {"city": "Oslo"}), piece(1, "2", "weather", {"city": "Rome"})],
        tuple(FunctionCall("weather", call.arguments.replace(" ", ""), call.id) for call in TWO),
    ),
    "empty arguments first": (
        [piece(0, "1", "weather", "{}"), piece(0, arguments=OSLO), piece(1, "2", "weather", ROME)],
        TWO,
    ),
    "index as text": ([piece("0", "1", "weather", OSLO), piece("1", "2", "weather", ROME)], TWO),
}


@pytest.mark.parametrize(("pieces", "calls"), PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("at_once", [True, False])
def test_calls_are_put_together_however_they_are_numbered(ask, pieces, calls, at_once):
    deltas = [{"tool_calls": pieces}] if at_once else [{"tool_calls": [each]} for each in pieces]
    events = [*map(chunk, deltas), chunk({}, finish_reason="tool_calls")]
    assert ask(Reply(body=events), []).outputs[0].tool_calls == calls


def test_an_older_call_in_pieces_is_one(ask):
    deltas = [{"function_call": {"name": "weather"}}, *({"function_call": {"arguments": part}} for part in OSLO)]
    events = [*map(chunk, deltas), chunk({}, finish_reason="function_call")]
    assert ask(Reply(body=events), []).outputs[0].tool_calls == (FunctionCall("weather", OSLO),)


def test_several_outputs_without_numbers_are_told_apart(ask):
    choices = [{"delta": {"content": text}, "finish_reason": "stop"} for text in ("one", "two")]
    told = []
    assert [output.text for output in ask(Reply(body=[{"choices": choices}]), told).outputs] == ["one", "two"]
    assert told == [LMChunk("one", "", 0), LMChunk("two", "", 1)]


def test_what_a_response_leaves_to_the_events_before_its_last_is_read(ask):
    call = {"type": "function_call", "call_id": "1", "name": "weather", "arguments": OSLO}
    last = {"type": "response.completed", "response": {**response(""), "output": []}}
    text = {"type": "response.output_text.delta", "delta": "Paris"}
    assert ask(Reply(body=[text, last]), [], model_type="responses").text == "Paris"
    done = {"type": "response.output_item.done", "item": call}
    [output] = ask(Reply(body=[done, last]), [], model_type="responses").outputs
    assert output.tool_calls == (FunctionCall("weather", OSLO, "1"),)


# Any JSON value in any place.

ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**20) | st.floats() | st.sampled_from(["", "x", "0", "[DONE]", "{}"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["type", "text", "error", "index", "message", "content"]), inner, max_size=2)
    ),
    max_leaves=4,
)
CALL = {"id": "1", "type": "function", "function": {"name": "weather", "arguments": OSLO}}
WHOLE = {
    "chat": completion("ok", reasoning_content="hm", tool_calls=[CALL], refusal=None),
    "text": text_completion("ok"),
    "responses": response(
        "ok",
        None,
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "function_call", "id": "f", "call_id": "1", "name": "weather", "arguments": OSLO},
    ),
}
IN_PIECES = {
    "chat": [
        chunk({"role": "assistant", "content": ""}),
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "ok"}),
        chunk({"content": "ay"}),
        chunk({"tool_calls": [{"index": 0, **CALL}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": " "}}]}),
        LAST,
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
    ],
    "text": [{"choices": [{"index": 0, "text": "ok", "finish_reason": "stop"}]}, {"choices": [], "usage": {}}],
    "responses": [*response_events({**WHOLE["responses"], "output": WHOLE["responses"]["output"][::2]})],
}


def places(value, path=()):
    """Yield the path of each value in a value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@st.composite
def changed(draw, value):
    """Delete, replace or nest some of the values in a value."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(value))))
        if not path:
            return draw(ODD)
        place = value
        for key in path[:-1]:
            place = place[key]
        how = draw(st.sampled_from(["delete", "replace", "list", "object", "text"]))
        if how == "delete":
            del place[path[-1]]
        elif how == "replace":
            place[path[-1]] = draw(ODD)
        else:
            old = place[path[-1]]
            place[path[-1]] = [old, old] if how == "list" else {"text": old} if how == "object" else json.dumps(old)
    return value


@pytest.fixture(scope="module")
def lasting_server():
    with OpenAIServer() as server:
        yield server


def answered(server, reply, model_type, on_chunk=None):
    """Ask; a response must be one through and through, and any failure an `LMError`."""
    server.replies.append(reply)
    try:
        found = lm_of(server, model_type).complete(LMRequest(HI, on_chunk=on_chunk))
    except LMError:
        return
    assert found.outputs
    assert all(isinstance(output.text, str) for output in found.outputs)
    assert LMResponse.from_json(json.loads(json.dumps(found.to_json()))).outputs == found.outputs


QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("model_type", MODELS)
@QUICK
@given(data=st.data())
def test_a_reply_with_any_value_in_any_place_is_a_response_or_an_error(lasting_server, model_type, data):
    answered(lasting_server, Reply(body=json.dumps(data.draw(changed(WHOLE[model_type]))).encode()), model_type)


@pytest.mark.parametrize("model_type", MODELS)
@QUICK
@given(data=st.data())
def test_a_stream_with_any_value_in_any_place_is_a_response_or_an_error(lasting_server, model_type, data):
    events = data.draw(changed(IN_PIECES[model_type]))
    told = []
    body = events if isinstance(events, list) else [events]
    answered(lasting_server, Reply(body=[*body, b"[DONE]"]), model_type, told.append)
    assert all(isinstance(text, str) for piece in told for text in piece[:2])


@QUICK
@given(body=changed({"error": {"message": "m", "code": 1, "type": "t"}, "choices": None}), status=st.integers(400, 599))
def test_an_error_with_any_value_in_any_place_is_an_error(lasting_server, body, status):
    for code in (status, 200):
        answered(lasting_server, Reply(body=json.dumps(body).encode(), status=code), "chat")


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"choices": ' + b"[" * 100_000, b"1" * 5000, b"\xff\xfe{", b"NaN"])
@pytest.mark.parametrize("status", [200, 400])
def test_what_no_parser_takes_is_an_error(server, body, status):
    for on_chunk in (None, lambda _: None):
        answered(server, Reply(body=body, status=status, headers=EVENTS), "chat", on_chunk)


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), float("-inf"), 10**400])
def test_a_cost_that_is_no_number_of_dollars_is_not_known(cost):
    response = LMResponse.from_text("hi", cost=cost)
    assert response.cost is None
    assert json.loads(json.dumps(response.to_json(), allow_nan=False))["outputs"][0]["text"] == "hi"


@pytest.mark.parametrize("cost", ["much", [], {}, 1j])
def test_a_cost_that_is_no_number_is_one_message(cost):
    with pytest.raises(TypeError, match="the cost of a response is a number of dollars, or None, not "):
        LMResponse.from_text("hi", cost=cost)


def test_a_cost_may_be_any_number():
    assert [LMResponse.from_text("hi", cost=cost).cost for cost in (0, 0.5, Decimal("0.25"))] == [0, 0.5, 0.25]
