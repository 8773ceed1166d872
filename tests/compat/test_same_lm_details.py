"""Reasoning models, states of LMs, and what replies hold beside their text: the same in DSPy and in ours."""

from unittest import mock

import pytest
from both import chat, in_real, refused, uses

pytestmark = pytest.mark.usefixtures("live")
use, USES = uses()


def answering(text, *, choice=None, **message):
    """Replace LiteLLM's function by one that gives this reply."""
    import litellm

    said = {"role": "assistant", "content": text, **message}
    choices = [{"index": 0, "message": said, "finish_reason": "stop", **(choice or {})}]
    usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
    reply = litellm.ModelResponse(model="gpt-4o-mini", choices=choices, usage=usage)
    return mock.patch("litellm.completion", return_value=reply)


LOGPROBS = {"logprobs": {"content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}]}}
REASONING = ("openai/o1", "openai/o3-mini", "openai/gpt-5", "openai/gpt-5-mini", "o4-mini", "azure/o1-2024-12-17")
MODELS = (*REASONING, "openai/gpt-5-chat-latest", "openai/gpt-5.1", "openai/gpt-4o", "openai/o2")


@use
def arguments_of_reasoning_models(dspy):
    found = []
    for model in MODELS:
        for temperature, limit in [(None, None), (1.0, 16000), (1.0, 1000), (0.7, 20000), (0.0, 16000), (None, 20000)]:

            def make(model=model, **arguments):
                return dspy.LM(model, **arguments)

            arguments = {"temperature": temperature, "max_tokens": limit}
            if refused(lambda: make(**arguments), dspy.LMConfigurationError):  # noqa: B023  called at once
                found.append((model, "refused"))
            else:
                kwargs = make(**arguments).kwargs
                found.append((model, {name: value for name, value in kwargs.items() if value is not None}))
    return found


@use
def the_state_of_an_lm(dspy):
    lm = dspy.LM("openai/gpt-4o", temperature=0.5, max_tokens=100, cache=False, num_retries=5, api_key="sk-secret")
    state = lm.dump_state()
    again = dspy.LM.load_state(state)
    kwargs = again.kwargs
    secret = "sk-secret" in str(state)
    return again.model, kwargs["temperature"], kwargs["max_tokens"], again.cache, again.num_retries, secret


@use
def the_state_of_a_reasoning_model(dspy):
    return dspy.LM.load_state(dspy.LM("openai/gpt-5", max_tokens=20000).dump_state()).kwargs["max_completion_tokens"]


@use
def the_state_of_an_lm_of_the_users_own(dspy):
    class Own(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kwargs):
            raise NotImplementedError

    again = Own.load_state({"model": "own", "temperature": 0.3})
    return type(again).__name__, again.model, again.kwargs["temperature"]


@use
def logprobs_beside_a_text(dspy):
    with answering("Hi", choice=LOGPROBS):
        [found] = dspy.LM("openai/gpt-4o-mini", cache=False, logprobs=True)("hi")
    return found["text"], found["logprobs"].content[0].token, found["logprobs"]["content"][0]["logprob"]


@use
def logprobs_of_a_prediction(dspy):
    lm = dspy.LM("openai/gpt-4o-mini", cache=False, logprobs=True)
    with answering(chat(a="Z"), choice=LOGPROBS), dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
        found = dspy.Predict("q -> a")(q="1")
    return found.a, found.logprobs.content[0].token


@use
def citations_beside_a_text(dspy):
    cited = {"type": "char_location", "cited_text": "abc", "document_index": 0, "document_title": "T"}
    with answering("Hi", provider_specific_fields={"citations": [[cited]]}):
        return dspy.LM("anthropic/claude-3-5-sonnet-20241022", cache=False)("hi")


@use
def an_entry_of_the_history(dspy):
    lm = dspy.LM("openai/gpt-4o-mini", cache=False)
    with answering("Hi"):
        lm("hi")
    entry = lm.history[-1]
    return sorted(entry), entry["model_type"], entry["model"], entry["outputs"], entry["prompt"]


@pytest.mark.parametrize("use", USES)
def test_the_same(ours, real, use):
    assert use(ours) == in_real(use, real)


def test_a_state_that_dspy_wrote(ours, real):
    state = real.LM("openai/gpt-4o", temperature=0.5, max_tokens=9).dump_state()

    assert ours.LM.load_state(state).dump_state()["temperature"] == 0.5


@pytest.mark.parametrize("private", ["api_key", "api_base", "base_url"])
def test_a_state_with_a_key_or_an_address_sets_neither(ours, private):
    lm = ours.LM.load_state({"model": "openai/gpt-4o", private: "http://stranger.example/v1"})

    assert "stranger" not in repr(vars(lm))


def test_a_state_without_a_model(ours):
    with pytest.raises(ours.ConfigurationError, match="model"):
        ours.LM.load_state({})


def test_a_call_changes_the_limit_of_a_reasoning_model(ours):
    lm = ours.LM("openai/gpt-5", max_tokens=20000, cache=False)

    assert lm.copy(max_tokens=30000).kwargs["max_completion_tokens"] == 30000
    assert ours.LM("openai/gpt-5", max_completion_tokens=500).kwargs["max_completion_tokens"] == 500


def test_logprobs_and_citations_are_kept_in_files(ours):
    with answering("Hi", choice=LOGPROBS, provider_specific_fields={"citations": [[{"cited_text": "abc"}]]}):
        lm = ours.LM("openai/gpt-4o-mini", cache=False, logprobs=True)
        lm("hi")
    response = lm.history[-1].response

    assert type(response).from_json(response.to_json()) == response
    assert response.outputs[0].logprobs["content"][0]["token"] == "Hi"
    assert response.outputs[0].citations == ({"cited_text": "abc"},)
