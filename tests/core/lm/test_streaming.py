"""Replies that are told piece by piece: what is told, what is returned, and what may go wrong."""

import asyncio
import contextlib
import gc
import threading
import warnings
from types import SimpleNamespace

import pytest
from openai_server import OpenAIServer, Reply, completion, event_bytes, response, text_completion, words

from dspex_core import BaseLM, Budget, ScriptedLM, track_usage
from dspex_core.config import context
from dspex_core.errors import (
    BudgetExceededError,
    LMAuthError,
    LMError,
    LMRateLimitError,
    LMRefusalError,
    LMResponseError,
    LMServerError,
    LMTimeoutError,
    LMTransportError,
)
from dspex_core.lm.cache import ResponseCache
from dspex_core.lm.client import LM
from dspex_core.messages import LMChunk, LMOutput, LMRequest, LMResponse, Message, Usage

MODELS = {"chat": "openai/gpt-4o-mini", "text": "openai/gpt-3.5-turbo-instruct", "responses": "openai/gpt-4o-mini"}
HI = (Message("user", "hi"),)
EVENTS = {"Content-Type": "text/event-stream"}
TEXT = "Grüße, 世界 \U0001f600, und  zwei\nZeilen"
AT_ONCE = {"Retry-After": "0"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}


STREAMING = [("direct", "chat"), ("direct", "text"), ("direct", "responses"), ("litellm", "chat")]


@pytest.fixture(params=["direct", "litellm"])
def engine(request):
    return request.param


@pytest.fixture(params=STREAMING, ids="-".join)
def streaming(request):
    return request.param


@pytest.fixture
def model_type(streaming):
    return streaming[1]


@pytest.fixture(params=["sync", "async"])
def waiting(request):
    return request.param


@pytest.fixture
def make(server, streaming):
    """Make an LM with the engine and the kind of API under test."""
    return lambda **arguments: lm_of(server, *streaming, **arguments)


def lm_of(server, engine="direct", model_type="chat", **arguments):
    given = {"cache": False, "num_retries": 0, "timeout": 30.0, "api_key": "k", **arguments}
    return LM(MODELS[model_type], model_type, api_base=server.base_url, engine=engine, **given)


@pytest.fixture
def ask(waiting):
    """Make a call in the manner of waiting under test, and note what it tells."""

    def ask(lm, told=None, **config):
        request = LMRequest(HI, config, on_chunk=None if told is None else told.append)
        return lm.request(request) if waiting == "sync" else asyncio.run(lm.arequest(request))

    return ask


def made(model_type, text):
    return {"chat": completion, "text": text_completion, "responses": response}[model_type](text)


class TestBothEngines:
    def test_the_pieces_are_the_reply_and_the_response_is_the_same_as_without(self, make, ask, server):
        server.replies.extend([TEXT, TEXT])
        lm, told = make(), []
        whole, streamed = ask(lm), ask(lm, told)
        assert [chunk.text for chunk in told] == words(TEXT)
        assert (streamed.outputs, streamed.usage) == (whole.outputs, whole.usage)
        assert streamed.outputs[0] == LMOutput(TEXT, "stop")
        assert [request.body.get("stream") for request in server.requests] == [None, True]

    def test_each_of_several_outputs_is_told_under_its_number(self, make, ask, server):
        server.replies.extend(["one two", "one two"])
        told = []
        streamed = ask(make(), told, n=2)
        assert [output.text for output in streamed.outputs] == ["one two", "one two"]
        assert {chunk.output for chunk in told} == {0, 1}
        for number in range(2):
            assert "".join(chunk.text for chunk in told if chunk.output == number) == "one two"

    @pytest.mark.parametrize("framing", ["length", "chunked"])
    def test_half_a_stream_is_a_transport_error(self, make, ask, server, framing):
        server.replies.append(Reply("many words of a text", fault="half_body", chunked=framing == "chunked"))
        with pytest.raises(LMTransportError):
            ask(make(), [])

    def test_an_error_in_its_middle_is_typed_by_what_it_says(self, make, ask, server, model_type):
        event = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
        if model_type == "responses":
            failed = {**response(""), "status": "failed", **event}
            event = {"type": "response.failed", "sequence_number": 9, "response": failed}
        server.replies.append(Reply(body=[*begun(model_type), event]))
        told = []
        with pytest.raises(LMRateLimitError, match="slow down"):
            ask(make(), told)

    def test_a_refusal_before_the_first_piece_is_typed_and_tried_again(self, make, ask, server):
        server.replies.extend([Reply(status=429, headers=AT_ONCE, body={"error": {"message": "slow"}}), "fine"])
        told = []
        assert ask(make(num_retries=1), told).text == "fine"
        assert [chunk.text for chunk in told] == ["fine"]
        server.replies.append(Reply(status=401, body={"error": {"message": "bad key"}}))
        with pytest.raises(LMAuthError):
            ask(make(num_retries=1), told)

    def test_a_stream_that_stalls_is_a_timeout(self, make, ask, server):
        server.replies.append(Reply("many words of a text", fault="stall_midway"))
        with pytest.raises(LMTimeoutError):
            ask(make(timeout=0.5), [])

    def test_what_the_listener_raises_ends_the_call_and_is_raised(self, make, ask, server):
        server.replies.append(Reply("many words of a text", fault="stall_midway"))

        class Full:
            def append(self, chunk):
                raise BrokenPipeError(chunk.text)

        with pytest.raises(BrokenPipeError, match="many"):
            ask(make(num_retries=2, fallbacks=[ScriptedLM(["other"])]), Full())
        assert server.left.wait(5)
        assert len(server.requests) == 1


def begun(model_type):
    if model_type == "responses":
        created = {"type": "response.created", "sequence_number": 0, "response": response("")}
        delta = {"item_id": "m", "output_index": 0, "content_index": 0, "delta": "half", "sequence_number": 1}
        return [created, {"type": "response.output_text.delta", **delta}]
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    if model_type == "text":
        return [{**base, "object": "text_completion", "choices": [{"index": 0, "text": "half", "finish_reason": None}]}]
    return [{**base, "choices": [{"index": 0, "delta": {"content": "half"}, "finish_reason": None}]}]


class TestChat:
    def test_reasoning_and_calls_are_put_together(self, server, engine, ask):
        body = completion("so", reasoning_content="two and two", tool_calls=[CALL, {**CALL, "id": "call_2"}])
        body["choices"][0]["finish_reason"] = "tool_calls"
        server.replies.extend([Reply(body=body), Reply(body=body)])
        lm, told = lm_of(server, engine), []
        whole, streamed = ask(lm), ask(lm, told)
        assert "".join(chunk.reasoning for chunk in told) == "two and two"
        assert [chunk.text for chunk in told if chunk.text] == ["so"]
        assert [call.id for call in streamed.outputs[0].tool_calls] == ["call_1", "call_2"]
        assert streamed.outputs == whole.outputs

    def test_a_refusal_in_pieces_is_one(self, server, engine, ask):
        begin, *_ = begun("chat")
        pieces = [({"refusal": "I cannot "}, None), ({"refusal": "say."}, None), ({}, "stop")]
        events = [
            {**begin, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in pieces
        ]
        server.replies.append(Reply(body=events))
        with pytest.raises(LMRefusalError, match=r"I cannot say\."):
            ask(lm_of(server, engine, num_retries=0), [])

    def test_json_that_is_none_is_a_response_error(self, server, engine, ask):
        server.replies.append(Reply(body=[*begun("chat"), b"{not json"]))
        with pytest.raises(LMResponseError):
            ask(lm_of(server, engine), [])


class TestResponses:
    def test_the_summaries_of_reasoning_are_told_as_they_are_put_together(self, server, ask):
        thoughts = [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "then"}]
        reasoning = {"type": "reasoning", "id": "rs_1", "summary": thoughts}
        body = response("so", None, reasoning)
        server.replies.append(Reply(body=body))
        told = []
        streamed = ask(lm_of(server, model_type="responses"), told)
        assert "".join(chunk.reasoning for chunk in told) == streamed.outputs[0].reasoning == "first\n\nthen"


@pytest.mark.parametrize("model_type", ["chat", "text", "responses"])
class TestDirectInEachApi:
    def test_a_connection_that_closes_before_the_end_is_a_transport_error(self, server, model_type, ask):
        server.replies.append(Reply(body=begun(model_type), unframed=True))
        with pytest.raises(LMTransportError, match="ended before the reply did"):
            ask(lm_of(server, model_type=model_type), [])

    def test_no_choices_and_no_wire_format_are_response_errors(self, server, model_type, ask):
        for events in ([{"hello": 1}], [[1]], [b'{"choices": []} and more']):
            server.replies.append(Reply(body=events))
            with pytest.raises(LMResponseError, match="did not reply with"):
                ask(lm_of(server, model_type=model_type), [])

    def test_a_server_that_answers_in_one_piece_is_understood(self, server, model_type, ask):
        server.replies.append(Reply(TEXT, plain=True))
        told = []
        assert ask(lm_of(server, model_type=model_type), told).text == TEXT
        assert told == [LMChunk(TEXT)]


class TestDirect:
    def test_a_stream_with_nothing_in_it_is_asked_for_again(self, server, ask):
        server.replies.extend([Reply(body=[b"[DONE]"]), Reply(body=b"", headers=EVENTS), Reply(body=b"\n")])
        assert ask(lm_of(server, num_retries=3), []).text == "ok"

    def test_lines_ends_comments_and_a_missing_last_line_do_not_matter(self, server, ask):
        events = b"".join([b": keep-alive\r\n\r\n", *map(event_bytes, begun("chat")), event_bytes(b"[DONE]")])
        body = events.replace(b"\n", b"\r\n").rstrip()
        server.replies.append(Reply(body=body, headers={"Content-Type": "text/event-stream; charset=utf-8"}))
        told = []
        assert ask(lm_of(server), told).text == "half"
        assert [chunk.text for chunk in told] == ["half"]

    def test_a_stream_that_trickles_byte_by_byte_is_read_as_it_comes(self, server, ask):
        base = {"choices": [{"index": 0, "delta": {"content": "é世"}, "finish_reason": "stop"}]}
        server.replies.append(Reply(body=[base], fault="trickle"))
        assert ask(lm_of(server), []).text == "é世"

    def test_and_does_not_outlast_the_timeout(self, server, ask):
        server.replies.append(Reply("many words of a text " * 1000, fault="trickle"))  # for many minutes
        with pytest.raises(LMTimeoutError, match=r"within 0\.3 seconds"):
            ask(lm_of(server, timeout=0.3), [])

    def test_an_error_without_a_known_code_is_an_invalid_request_and_a_servers_own_is_its(self, server, ask):
        for code, kind in {"strange": LMError, "server_error": LMServerError, 503: LMServerError}.items():
            server.replies.append(Reply(body=[{"error": {"message": "oops", "code": code}}]))
            with pytest.raises(kind, match="oops"):
                ask(lm_of(server), [])

    def test_an_event_of_its_own_may_tell_of_an_error(self, server, ask):
        event = {"type": "error", "message": "slow down", "code": "rate_limit_exceeded"}
        server.replies.append(Reply(body=[*begun("responses"), event]))
        with pytest.raises(LMRateLimitError, match="slow down"):
            ask(lm_of(server, model_type="responses"), [])

    def test_a_call_without_a_number_is_a_whole_one(self, server, ask):
        deltas = [{"tool_calls": [CALL]}, {"tool_calls": [CALL]}]
        events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
        server.replies.append(Reply(body=[*events, b"[DONE]"]))
        assert len(ask(lm_of(server), []).outputs[0].tool_calls) == 2

    def test_a_reply_ends_where_its_stream_says_so(self, server, ask):
        events = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("Paris", " and more")]
        server.replies.append(Reply(body=[events[0], b"[DONE]", events[1], b"[DONE]"]))
        assert ask(lm_of(server), []).text == "Paris"

    def test_the_tokens_are_asked_for_where_that_is_understood(self, server, ask):
        for model in ("openai/gpt-4o", "mistral/mistral-small"):
            ask(LM(model, api_base=server.base_url, cache=False, engine="direct"), [])
        assert [request.body.get("stream_options") for request in server.requests] == [{"include_usage": True}, None]

    def test_a_connection_serves_again_after_a_stream(self, server):
        lm = lm_of(server)
        for _ in range(3):
            lm.request(LMRequest(HI, on_chunk=lambda _: None))
        assert (len(server.requests), server.connections) == (3, 1)


class TestOnceTold:
    """What was told cannot be taken back."""

    def test_there_is_no_other_try_and_no_fallback(self, server, ask):
        server.replies.append(Reply("many words of a text", fault="half_body"))
        told = []
        with pytest.raises(LMTransportError):
            ask(lm_of(server, num_retries=2, fallbacks=[ScriptedLM(["other"])]), told)
        assert told[0].text == "many"
        assert len(server.requests) == 1

    def test_a_fallback_that_breaks_off_is_the_last(self, server, ask):
        with OpenAIServer(Reply(status=401, body={})) as refusing:
            server.replies.append(Reply("many words of a text", fault="half_body"))
            lm = lm_of(refusing, fallbacks=[lm_of(server), ScriptedLM(["other"])])
            with pytest.raises(LMTransportError):
                ask(lm, [])

    def test_before_that_a_fallback_is_asked_and_told(self, server, ask):
        server.replies.append(Reply(status=401, body={}))
        told = []
        assert ask(lm_of(server, fallbacks=[ScriptedLM(["one two"])]), told).text == "one two"
        assert [chunk.text for chunk in told] == ["one", " two"]

    def test_of_outputs_asked_for_one_by_one_another_is_tried_again(self, server, ask):
        server.replies.extend(["one", Reply(status=503, headers=AT_ONCE, body={}), "two"])
        told = []
        ask(lm_of(server, model_type="responses", num_retries=1), told, n=2)
        assert told == [LMChunk("one", output=0), LMChunk("two", output=1)]


class Whole(BaseLM):
    """An LM of a user's own, which knows nothing of pieces."""

    def complete(self, request):
        return LMResponse((LMOutput("one two", reasoning="hm"), LMOutput("three"), LMOutput("")))


class TestWhole:
    """What does not arrive in pieces is told as one for each output."""

    def test_of_an_lm_without_streaming(self, ask):
        told = []
        assert ask(Whole("whole"), told).text == "one two"
        assert told == [LMChunk("one two", "hm", 0), LMChunk("three", "", 1)]

    def test_of_the_cache(self, server, ask):
        server.replies.append("one two")
        with context(cache=ResponseCache()):
            lm, first, second = lm_of(server, cache=True), [], []
            ask(lm, first)
            assert ask(lm, second).cached
        assert (first, second) == ([LMChunk("one"), LMChunk(" two")], [LMChunk("one two")])

    @pytest.mark.parametrize("model_type", ["text", "responses"])
    def test_of_what_litellm_does_not_stream_well(self, server, ask, model_type):
        server.replies.append("one two")
        told = []
        assert ask(lm_of(server, "litellm", model_type), told).text == "one two"
        assert told == [LMChunk("one two")]

    def test_of_a_cassette(self, ask):
        recorder = SimpleNamespace(replay=lambda model, request: LMResponse((LMOutput("one two"),)))
        told = []
        with context(recorder=recorder):
            ask(LM("openai/x"), told)
        assert told == [LMChunk("one two")]

    def test_of_an_equal_call_under_way(self):
        with OpenAIServer(script=lambda _: Reply("one two", delay=0.2)) as server, context(cache=ResponseCache()):
            lm, told = lm_of(server, cache=True), [[], []]

            async def twice():
                requests = [LMRequest(HI, on_chunk=pieces.append) for pieces in told]
                await asyncio.gather(*map(lm.arequest, requests))

            asyncio.run(twice())
        assert sorted(len(pieces) for pieces in told) == [1, 2]
        assert len(server.requests) == 1

    def test_the_listener_is_not_kept(self, ask):
        lm = ScriptedLM(["one two"])
        ask(lm, [])
        assert lm.history[-1].request == LMRequest(HI)
        assert lm.history[-1].request.on_chunk is None

    def test_what_completes_a_request_tells_it_by_itself_too(self, server):
        server.replies.append("one two")
        told = []
        with context(cache=ResponseCache()):
            for _ in range(2):
                lm_of(server, cache=True).complete(LMRequest(HI, on_chunk=told.append))
        assert told == [LMChunk("one"), LMChunk(" two"), LMChunk("one two")]
        with pytest.raises(ZeroDivisionError):
            lm_of(server).complete(LMRequest(HI, on_chunk=lambda _: 1 // 0))


class TestTimeout:
    def test_the_default_gives_a_stream_the_time_of_streams(self, monkeypatch):
        given = []

        class Noting:
            def complete(self, request, *, timeout):
                given.append(timeout)
                return LMResponse((LMOutput("x"),))

        monkeypatch.setattr("dspex_core.lm.client.engine_for", lambda name, endpoint: Noting())
        streamed = LMRequest(HI, on_chunk=lambda _: None)
        for timeout in ("default", "ml_inference", 5.0):
            lm = LM("openai/x", api_key="k", cache=False, timeout=timeout)
            lm.request(LMRequest(HI))
            lm.request(streamed)
        lm.request(LMRequest(HI, timeout=7.0, on_chunk=lambda _: None))
        assert given == [120.0, 1800.0, 600.0, 600.0, 5.0, 5.0, 7.0]


@pytest.fixture
def pieces(waiting):
    """Take all pieces of a call, or the first ones, in the manner of waiting under test."""

    def pieces(lm, *args, most=None, **config):
        async def taken():
            found = []
            async with contextlib.aclosing(lm.astream(*args, **config)) as stream:
                async for chunk in stream:
                    found.append(chunk)
                    if len(found) == most:
                        break
            return found

        if waiting == "async":
            return asyncio.run(taken())
        found = []
        with contextlib.closing(lm.stream(*args, **config)) as stream:
            for chunk in stream:
                found.append(chunk)
                if len(found) == most:
                    break
        return found

    return pieces


class TestStream:
    def test_it_gives_the_pieces_and_keeps_the_response_in_the_history(self, pieces):
        lm = ScriptedLM(["one  two\nthree "])
        with track_usage() as usage:
            assert [chunk.text for chunk in pieces(lm, "hi")] == ["one", "  two", "\nthree", " "]
        assert lm.history[-1].response.text == "one  two\nthree "
        assert usage.total == Usage(1, 3)

    def test_messages_and_parameters_are_those_of_a_call(self, pieces, server):
        lm = lm_of(server)
        pieces(lm, messages=[{"role": "user", "content": "ho"}], temperature=0.5)
        assert (server.requests[0].body["messages"], server.requests[0].body["temperature"]) == (
            [{"role": "user", "content": "ho"}],
            0.5,
        )
        with pytest.raises(ValueError, match="either a prompt or messages"):
            lm.stream()
        with pytest.raises(ValueError, match="either a prompt or messages"):
            lm.astream()

    def test_an_error_is_raised_where_the_pieces_end(self, pieces, server):
        server.replies.append(Reply("many words of a text", fault="half_body"))
        lm = lm_of(server)
        with pytest.raises(LMTransportError):
            pieces(lm, "hi")
        assert not lm.history

    def test_the_settings_are_those_of_the_moment_of_the_call(self, waiting):
        lm = ScriptedLM(["one"])
        with context(budget=Budget(calls=0)):
            stream = lm.stream("hi") if waiting == "sync" else lm.astream("hi")
        with pytest.raises(BudgetExceededError):
            list(stream) if waiting == "sync" else asyncio.run(anext(stream))

    def test_an_lm_that_cannot_wait_without_a_thread_tells_from_there(self, pieces):
        assert [chunk.text for chunk in pieces(Whole("whole"), "hi")] == ["one two", "three"]

        class FromThread(BaseLM):
            def complete(self, request):
                for number in range(100):
                    request.on_chunk(LMChunk(str(number)))
                return LMResponse((LMOutput("all"),))

        assert [chunk.text for chunk in pieces(FromThread("x"), "hi")] == [str(number) for number in range(100)]

    def test_to_break_off_ends_the_call_and_closes_its_connection(self, pieces, make, server, streaming, waiting):
        if (streaming[0], waiting) == ("litellm", "sync"):
            pytest.skip("a thread that waits in LiteLLM cannot be woken")
        server.replies.append(Reply("many words of a text", fault="stall_midway"))
        lm = make()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert pieces(lm, "hi", most=1)[0].text == "many"
            gc.collect()
        assert server.left.wait(5)
        assert not lm.history
        assert not [thread for thread in threading.enumerate() if thread.name == "dspex-stream"]
        assert [str(warning.message) for warning in caught] == []

    def test_a_loop_that_is_left_closes_it_too(self, server):
        server.replies.append(Reply("many words of a text", fault="stall_midway"))
        for _ in lm_of(server).stream("hi"):
            break
        assert server.left.wait(5)

    def test_nothing_is_asked_before_the_first_piece_is(self, server):
        stream = lm_of(server).stream("hi")
        stream.close()
        assert not server.requests
