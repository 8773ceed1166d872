"""Replies that end before the model is done: said in the log, not kept, and not blindly asked for again."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai_server import OpenAIServer, Reply, completion, response, text_completion

from dspex_core import ChatAdapter, JSONAdapter, Predict, TruncatedReplyError, TwoStepAdapter, context
from dspex_core.errors import LMRateLimitError, LMRefusalError, LMServerError
from dspex_core.lm.client import LM
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.messages import LMOutput, LMRequest, Message

HI = (Message("user", "hi"),)
MODELS = {"chat": "openai/gpt-4o-mini", "text": "openai/gpt-3.5-turbo-instruct", "responses": "openai/gpt-4o-mini"}


def lm_of(server, engine="direct", model_type="chat", **arguments):
    given = {"num_retries": 0, "cache": False, "max_tokens": 16, **arguments}
    return LM(MODELS[model_type], model_type, api_base=server.base_url, api_key="k", engine=engine, **given)


def ended(text, reason, model_type="chat"):
    """A reply that ends for this reason, in each kind of API."""
    if model_type == "responses":
        return {**response(text), "status": "incomplete", "incomplete_details": {"reason": reason}}
    made = completion(text) if model_type == "chat" else text_completion(text)
    made["choices"][0]["finish_reason"] = reason
    return made


@pytest.fixture(params=["whole", "streamed"])
def on_chunk(request):
    return None if request.param == "whole" else (lambda _: None)


@pytest.fixture(params=["direct", "litellm"])
def engine(request):
    return request.param


REASONS = [
    ("chat", "length"),
    ("chat", "max_tokens"),
    ("chat", "MAX_TOKENS"),
    ("text", "length"),
    ("responses", "max_output_tokens"),
]


@pytest.mark.parametrize(("model_type", "reason"), REASONS)
def test_a_reply_cut_off_at_the_limit_is_said_to_be_so(server, model_type, reason, on_chunk, caplog):
    server.replies.append(Reply(body=ended("half an ans", reason, model_type)))
    answer = lm_of(server, model_type=model_type).request(LMRequest(HI, on_chunk=on_chunk))
    assert (answer.text, answer.outputs[0].finish_reason) == ("half an ans", "length")
    [record] = [record for record in caplog.records if record.name == "dspex"]
    assert "cut off at max_tokens=16" in record.message


@pytest.mark.parametrize("model_type", MODELS)
def test_through_litellm_too(server, model_type, caplog):
    reason = "max_output_tokens" if model_type == "responses" else "length"
    server.replies.append(Reply(body=ended("half", reason, model_type)))
    answer = asyncio.run(lm_of(server, "litellm", model_type).arequest(LMRequest(HI)))
    assert answer.outputs[0].finish_reason == "length"
    assert "cut off at max_tokens=16" in caplog.text


def test_without_a_limit_of_ones_own_the_provider_has_one(server, caplog):
    server.replies.append(Reply(body=ended("half", "length")))
    lm_of(server, max_tokens=None)("hi")
    assert "the provider's own limit, as max_tokens is not set" in caplog.text


def test_it_is_asked_for_again_by_the_next_call_and_the_whole_is_kept(server):
    server.replies.extend([Reply(body=ended("half", "length")), "whole", "never asked for"])
    lm = lm_of(server, cache=True)
    assert [lm("hi") for _ in range(3)] == [["half"], ["whole"], ["whole"]]


def test_equal_calls_at_once_share_it():
    half = Reply(body=ended("half", "length"), delay=0.3)
    with OpenAIServer(script=lambda _: half) as server, ThreadPoolExecutor(4) as pool:
        lm = lm_of(server, cache=True)
        assert list(pool.map(lambda _: lm("hi"), range(4))) == [["half"]] * 4
        assert len(server.requests) == 1


def test_the_history_shows_it(server, capsys):
    server.replies.append(Reply(body=ended("half", "length")))
    lm = lm_of(server)
    lm("hi")
    lm.inspect_history()
    assert "half\n\n(cut off: length)" in capsys.readouterr().out


def test_any_lm_may_return_one(caplog):
    ScriptedLM([LMOutput("half", "length")])("hi", max_tokens=7)
    assert "cut off at max_tokens=7" in caplog.text


@pytest.mark.parametrize("adapter", [ChatAdapter(), JSONAdapter()])
@pytest.mark.parametrize("parse_retries", [0, 2])
def test_one_that_cannot_be_read_is_not_paid_for_twice(server, adapter, parse_retries):
    server.replies.append(Reply(body=ended("Let me think about", "length")))
    with (
        context(lm=lm_of(server), adapter=adapter, parse_retries=parse_retries),
        pytest.raises(TruncatedReplyError, match="cut off at max_tokens=16"),
    ):
        Predict("question -> answer: int")(question="q")
    assert len(server.requests) == 1


def test_in_two_steps_too(server):
    server.replies.extend([Reply(body=ended("half", "length")), "nothing to read"])
    adapter = TwoStepAdapter(lm_of(server, max_tokens=None))
    with context(lm=lm_of(server), adapter=adapter), pytest.raises(TruncatedReplyError, match="max_tokens=16"):
        Predict("question -> answer: int")(question="q")


def test_a_filter_that_cuts_a_reply_off_is_said_to_have_done_so(server, caplog):
    server.replies.append(Reply(body=ended("half", "SAFETY")))
    answer = lm_of(server).request(LMRequest(HI))
    assert (answer.text, answer.outputs[0].finish_reason) == ("half", "content_filter")
    assert "cut off by the provider's content filter" in caplog.text


@pytest.mark.parametrize("model_type", ["chat", "responses"])
@pytest.mark.parametrize("text", [None, ""])
def test_a_reply_that_a_filter_withheld_is_a_refusal(server, model_type, text, on_chunk):
    server.replies.append(Reply(body=ended(text, "content_filter", model_type)))
    with pytest.raises(LMRefusalError, match="content filter"):
        lm_of(server, model_type=model_type, num_retries=2).request(LMRequest(HI, on_chunk=on_chunk))
    assert len(server.requests) == 1


@pytest.mark.parametrize("model_type", ["chat", "responses"])
def test_a_refusal_is_an_error_with_the_models_words(server, model_type, engine):
    words = "I can't help with that."
    body = completion(None, refusal=words)
    if model_type == "responses":
        part = {"type": "refusal", "refusal": words}
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
        body = response("", None, message)
    server.replies.append(Reply(body=body))
    with (
        context(lm=lm_of(server, engine, model_type, num_retries=2)),
        pytest.raises(LMRefusalError, match=words) as caught,
    ):
        Predict("question -> answer")(question="q")
    assert not caught.value.is_retryable
    assert len(server.requests) == 1


@pytest.mark.parametrize("content", ["", None, "Well, "])
def test_a_refusal_in_pieces_is_one(server, content):
    deltas = [{"role": "assistant", "content": content}, {"refusal": "I can't "}, {"refusal": "do that."}]
    events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    server.replies.append(Reply(body=[*events, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]))
    with pytest.raises(LMRefusalError, match=r"I can't do that\."):
        lm_of(server).request(LMRequest(HI, on_chunk=lambda _: None))


def test_of_several_outputs_the_refusals_are_left_out(server, caplog):
    body = completion("yes", {"n": 2})
    body["choices"][0]["message"] = {"role": "assistant", "content": None, "refusal": "No."}
    server.replies.append(Reply(body=body))
    assert lm_of(server)("hi", n=2) == ["yes"]
    assert "1 of 2 outputs are refusals and left out: No." in caplog.text


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        ({"finish_reason": "error", "error": {"code": 429, "message": "slow"}}, LMRateLimitError),
        ({"finish_reason": "error"}, LMServerError),
        ({"finish_reason": None, "error": {"code": "502", "message": "upstream"}}, LMServerError),
    ],
)
def test_a_reply_that_ended_with_an_error_is_that_error_and_tried_again(server, choice, kind, on_chunk):
    body = completion("half")
    body["choices"][0].update(choice)
    failed = Reply(body=body)
    if on_chunk is not None:
        failed = Reply(body=[{"choices": [{"index": 0, "delta": {}, **choice}]}])
    server.replies.extend([failed, failed])
    request = LMRequest(HI, on_chunk=on_chunk)
    with pytest.raises(kind):
        lm_of(server).request(request)
    assert lm_of(server, num_retries=1).request(request).text == "ok"


@pytest.mark.parametrize(
    "error",
    [
        {"code": "content_filter", "message": "The prompt was filtered.", "type": None, "param": "prompt"},
        {"code": "invalid_request", "innererror": {"code": "ResponsibleAIPolicyViolation"}, "message": "Filtered."},
        {"code": "content_policy_violation", "message": "Filtered."},
    ],
)
def test_a_prompt_that_a_filter_refused_is_a_refusal(server, engine, error):
    server.replies.append(Reply(status=400, body={"error": error}))
    lm = lm_of(server, engine, num_retries=3)

    with pytest.raises(LMRefusalError, match="iltered"):
        lm("hi")
    assert len(server.requests) == 1
