"""Tests that replace LiteLLM's functions, as DSPy's users write them, take effect."""

import asyncio
from unittest import mock

import numpy as np
import pytest
from both import chat

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(params=["real", "ours"])
def dspy(request, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return request.getfixturevalue(request.param)


def reply(text, **message):
    import litellm

    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    return litellm.ModelResponse(model="gpt-4o-mini", choices=[choice], usage=usage)


@pytest.mark.parametrize("cache", [True, False])
def test_a_program(dspy, cache, tmp_path):
    answers = iter(["first", "second"])
    found = []
    for _ in range(2):  # each mock answers for itself, also where equal calls are cached
        lm = dspy.LM(f"openai/gpt-4o-mini-{next(answers) if not cache else 'x'}-{tmp_path.name}", cache=cache)
        with mock.patch("litellm.completion") as completion, dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
            completion.return_value = reply(chat(answer="mocked"))
            found.append(dspy.Predict("question -> answer")(question="Why?").answer)
            sent = completion.call_args.kwargs if completion.called else None

    assert found == ["mocked", "mocked"]
    assert sent is None or (sent["model"] == lm.model and [m["role"] for m in sent["messages"]] == ["system", "user"])


def test_equal_calls_to_one_mock(dspy, tmp_path):
    lm = dspy.LM(f"openai/gpt-4o-mini-{tmp_path.name}", cache=True)
    with mock.patch("litellm.completion", return_value=reply("Hello.")) as completion:
        assert lm("Hi.") == lm("Hi.") == ["Hello."]

    assert completion.call_count == 1


def test_what_one_mock_has_answered_is_not_anothers_answer(ours):
    lm = ours.LM("openai/gpt-4o-mini")
    found = []
    for text in ("first", "second"):
        with mock.patch("litellm.completion", return_value=reply(text)):
            found += lm("Hi.")

    assert found == ["first", "second"]


def test_async(dspy):
    lm = dspy.LM("openai/gpt-4o-mini", cache=False)
    with mock.patch("litellm.acompletion", new=mock.AsyncMock(return_value=reply("Hello."))):
        assert asyncio.run(lm.acall("Hi.")) == ["Hello."]


def test_a_function_and_one_of_the_same_form(dspy):
    lm = dspy.LM("openai/gpt-4o-mini", cache=False)

    def answering(**given):
        return reply(given["messages"][-1]["content"].upper())

    with mock.patch("litellm.completion", answering):
        assert lm("hi") == ["HI"]
    with mock.patch("litellm.completion", autospec=True) as completion:
        completion.side_effect = answering
        assert lm("hi") == ["HI"]


def test_reasoning_and_calls(dspy):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    lm = dspy.LM("openai/gpt-4o-mini", cache=False)
    with mock.patch("litellm.completion", return_value=reply("x", reasoning_content="because", tool_calls=[call])):
        [found] = lm("Hi.")

    assert (found["text"], found["reasoning_content"]) == ("x", "because")
    assert found["tool_calls"][0].function.name == "f"


def test_an_error_that_nobody_foresaw(dspy):
    lm = dspy.LM("openai/gpt-4o-mini", cache=False)
    with (
        mock.patch("litellm.completion", side_effect=RuntimeError("boom")),
        pytest.raises(dspy.LMUnexpectedError) as caught,
    ):
        lm("Hi.")

    assert "boom" in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_an_error_of_litellm_is_raised_at_once(dspy):
    import litellm

    error = litellm.RateLimitError("slow down", "openai", "gpt-4o-mini")
    lm = dspy.LM("openai/gpt-4o-mini", cache=False)
    with mock.patch("litellm.completion", side_effect=error) as completion, pytest.raises(dspy.LMRateLimitError):
        lm("Hi.")

    assert completion.call_count == 1


def test_a_model_without_a_provider(dspy):
    lm = dspy.LM("my-model", cache=False)
    with mock.patch("litellm.completion", return_value=reply("Hello.")) as completion:
        assert lm("Hi.") == ["Hello."]

    assert completion.call_args.kwargs["model"] == "my-model"


def test_text_completions(dspy):
    import litellm

    answer = litellm.TextCompletionResponse(
        model="m", choices=[{"text": "Hello.", "index": 0, "finish_reason": "stop"}]
    )
    lm = dspy.LM("openai/gpt-3.5-turbo-instruct", model_type="text", cache=False)
    with mock.patch("litellm.text_completion", return_value=answer):
        assert lm("Hi.") == ["Hello."]


def test_embeddings(dspy):
    import litellm

    answer = litellm.EmbeddingResponse(
        data=[{"embedding": [1.0, 2.0], "index": 0}, {"embedding": [3.0, 4.0], "index": 1}]
    )
    embedder = dspy.Embedder("openai/text-embedding-3-small", caching=False)
    with mock.patch("litellm.embedding", return_value=answer):
        assert np.array_equal(embedder(["a", "b"]), [[1, 2], [3, 4]])


def test_a_mock_of_the_reply_itself(ours):
    answer = mock.MagicMock()
    answer.choices = [mock.MagicMock()]
    answer.choices[0].message.content = "mocked"
    lm = ours.LM("openai/gpt-4o-mini", cache=False)
    with mock.patch("litellm.completion", return_value=answer):
        assert lm("Hi.") == ["mocked"]


def test_in_a_session_that_replays(ours):
    with mock.patch("litellm.completion", return_value=reply("Hello.")), ours.context(replay_only=True):
        assert ours.LM("openai/gpt-4o-mini", cache=False)("Hi.") == ["Hello."]
