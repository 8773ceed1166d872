"""What both engines send of images, sounds and files."""

import asyncio

import pytest
from openai_server import Reply, completion

import dspex_core as dspy

PNG = "data:image/png;base64,iVBORw0KGgo="
PARTS = [
    {"type": "image_url", "image_url": {"url": PNG}},
    {"type": "image_url", "image_url": {"url": "https://a.org/b.png"}},
    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}},
]
FIELDS = "image: Image, linked: Image, sound: Audio, file: File -> answer"
INPUTS = {
    "image": dspy.Image(PNG),
    "linked": dspy.Image("https://a.org/b.png"),
    "sound": dspy.Audio(b"RIFF"),
    "file": dspy.File.from_bytes(b"%PDF", "a.pdf", "application/pdf"),
}
ANSWER = "[[ ## answer ## ]]\nyes"


@pytest.fixture(params=["direct", "litellm"])
def lm(request, server):
    server.replies.append(ANSWER)
    return dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k", cache=False, engine=request.param)


@pytest.mark.parametrize("waiting", ["sync", "async"])
def test_each_is_sent_as_openai_has_it(lm, server, waiting):
    predict = dspy.Predict(FIELDS)
    predict.demos = [{**INPUTS, "answer": "no"}]
    answer = predict(**INPUTS, lm=lm) if waiting == "sync" else asyncio.run(predict.acall(**INPUTS, lm=lm))
    assert answer.answer == "yes"
    (received,) = server.requests
    system, demo, reply, user = received.body["messages"]
    assert [type(message["content"]) for message in (system, reply)] == [str, str]
    for message in (demo, user):
        assert [part for part in message["content"] if part["type"] != "text"] == PARTS
        assert message["content"][0] == {"type": "text", "text": "[[ ## image ## ]]\n"}


def test_plain_text_is_sent_as_a_string(lm, server):
    dspy.Predict("q -> answer")(q="hi", lm=lm)
    assert all(isinstance(message["content"], str) for message in server.requests[0].body["messages"])


def test_an_equal_image_is_answered_from_the_cache(server):
    lm = dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k")
    server.replies.extend([ANSWER, ANSWER])
    predict = dspy.Predict("image: Image -> answer")
    with dspy.context(cache=dspy.ResponseCache()):
        for url in (PNG, PNG, "https://a.org/b.png"):
            predict(image=dspy.Image(url), lm=lm)
    assert len(server.requests) == 2


def test_reasoning_is_read_from_where_the_model_returns_it(server):
    server.replies.append(Reply(body=completion("[[ ## a ## ]]\n4", reasoning_content="two and two")))
    lm = dspy.LM("deepseek/r1", api_base=server.base_url, api_key="k", cache=False, reasoning_effort="low")
    prediction = dspy.Predict("q -> why: Reasoning, a: int")(q="2+2", lm=lm)
    assert (prediction.why, prediction.a) == ("two and two", 4)
    assert server.requests[0].body["reasoning_effort"] == "low"
