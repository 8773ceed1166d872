"""LMs of a user's own, scripted ones, and what an LM remembers."""

import asyncio
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from both import chat, scripted

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(params=["real", "ours"])
def dspy(request):
    return request.getfixturevalue(request.param)


def completion(text, **message):
    return {
        "model": "echo-1",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6},
    }


def as_object(value):
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(part) for name, part in value.items()})
    return [as_object(part) for part in value] if isinstance(value, list) else value


def with_usage(value):
    """What OpenAI's client returns: an object whose usage can be made a dict, as DSPy does."""
    found = as_object(value)
    found.usage = value["usage"]
    return found


def litellm_object(value):
    import litellm

    return litellm.ModelResponse(**value)


FORMS = {"namespace": with_usage, "litellm": litellm_object}


def echo(dspy, form, seen):
    class Echo(dspy.BaseLM):
        def forward(self, prompt=None, messages=None, **kwargs):
            seen.append((prompt, messages, kwargs))
            return form(completion(chat(answer="yes")))

    return Echo("echo", temperature=0.5)


class TestForward:
    @pytest.mark.parametrize("form", FORMS)
    def test_a_program_on_it(self, dspy, form):
        seen = []
        lm = echo(dspy, FORMS[form], seen)
        with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
            answer = dspy.Predict("question -> answer", top_p=0.5)(question="Why?").answer
        [(prompt, messages, kwargs)] = seen

        assert answer == "yes"
        assert prompt is None
        assert [message["role"] for message in messages] == ["system", "user"]
        assert kwargs["top_p"] == 0.5

    @pytest.mark.parametrize("form", FORMS)
    def test_a_call(self, dspy, form):
        seen = []
        lm = echo(dspy, FORMS[form], seen)

        assert lm("Why?") == [chat(answer="yes")]
        assert seen[0][0] == "Why?"
        assert lm.history[-1]["outputs"] == [chat(answer="yes")]
        assert lm.history[-1]["usage"]["total_tokens"] == 6

    def test_a_dict_is_a_reply_too(self, ours):
        lm = echo(ours, dict, [])

        assert lm("Why?") == [chat(answer="yes")]
        assert lm.history[-1].response.usage.total_tokens == 6

    def test_a_mock_is_a_reply_too(self, ours):
        reply = MagicMock()
        reply.choices = [MagicMock()]
        reply.choices[0].message.content = "mocked"

        assert echo(ours, lambda _: reply, [])("Why?") == ["mocked"]

    def test_a_reply_of_no_form_says_so(self, ours):
        with pytest.raises(ours.LMError, match="neither a chat completion nor a list of texts: 5"):
            echo(ours, lambda _: 5, [])("Why?")

    def test_async(self, dspy):
        class Echo(dspy.BaseLM):
            async def aforward(self, prompt=None, messages=None, **kwargs):
                await asyncio.sleep(0)
                return with_usage(completion(chat(answer="yes")))

        async def ask():
            with dspy.context(lm=Echo("echo"), adapter=dspy.ChatAdapter()):
                return await dspy.Predict("question -> answer").acall(question="?")

        assert asyncio.run(ask()).answer == "yes"

    def test_more_than_text(self, dspy):
        call = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"q": "x"}'}}

        class Thinking(dspy.BaseLM):
            def forward(self, prompt=None, messages=None, **kwargs):
                return litellm_object(completion("text", reasoning_content="because", tool_calls=[call]))

        [found] = Thinking("thinking")("?")

        assert (found["text"], found["reasoning_content"]) == ("text", "because")
        assert found["tool_calls"][0].function.name == "search"
        assert found["tool_calls"][0]["function"]["arguments"] == '{"q": "x"}'


class TestCall:
    def test_a_program_on_it(self, dspy):
        class Own(dspy.BaseLM):
            def __call__(self, prompt=None, messages=None, **kwargs):
                return [chat(answer=messages[-1]["role"])]

        with dspy.context(lm=Own("own"), adapter=dspy.ChatAdapter()):
            assert dspy.Predict("question -> answer")(question="?").answer == "user"

    def test_one_around_another(self, dspy):
        calls = []

        class Counting(dspy.BaseLM):
            def forward(self, prompt=None, messages=None, **kwargs):
                return with_usage(completion(chat(answer="yes")))

            def __call__(self, *args, **kwargs):
                calls.append(kwargs)
                return super().__call__(*args, **kwargs)

        lm = Counting("counting")
        with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
            assert dspy.Predict("question -> answer")(question="?").answer == "yes"

        assert len(calls) == len(lm.history) == 1

    def test_it_is_recorded_once_and_replayed(self, ours):
        class Recorder:
            def __init__(self):
                self.kept = []

            def replay(self, model, request):
                return self.kept[0] if self.kept else None

            def record(self, model, request, response):
                self.kept.append(response)

        calls, recorder = [], Recorder()

        class Own(ours.BaseLM):
            def forward(self, prompt=None, messages=None, **kwargs):
                calls.append(messages)
                return completion(chat(answer="yes"))

            def __call__(self, *args, **kwargs):
                return super().__call__(*args, **kwargs)

        with ours.context(lm=Own("own"), recorder=recorder):
            for _ in range(2):
                assert ours.Predict("question -> answer")(question="?").answer == "yes"

        assert (len(calls), len(recorder.kept)) == (1, 1)


class TestHistory:
    def entry(self, dspy):
        class Echo(dspy.BaseLM):
            def forward(self, prompt=None, messages=None, **kwargs):
                return with_usage(completion("Hello."))

        lm = Echo("echo", temperature=0.5)
        lm(messages=[{"role": "user", "content": "Hi."}], top_p=0.25)
        return lm.history[-1]

    def test_what_was_asked_and_answered(self, dspy):
        entry = self.entry(dspy)

        assert entry["messages"] == [{"role": "user", "content": "Hi."}]
        assert entry["outputs"] == ["Hello."]
        assert entry["kwargs"]["top_p"] == 0.25
        assert entry["model"] == "echo"
        assert entry["response_model"] == "echo-1"
        assert entry["response"].choices[0].message.content == "Hello."
        assert (entry["usage"]["prompt_tokens"], entry["usage"]["completion_tokens"]) == (4, 2)
        assert {"prompt", "cost", "timestamp", "uuid"} <= set(entry)
        assert dict(entry)["outputs"] == entry.get("outputs")
        assert entry["uuid"] == entry["uuid"]
        assert "nothing" not in entry

    def test_no_secret_is_shown(self, ours):
        lm = scripted(ours, ["Hello."])
        lm("Hi.", extra_headers={"x-api-key": "secret"}, api_key="secret")

        assert "secret" not in repr(lm.history[-1]["kwargs"])

    def test_kwargs_can_be_changed(self, dspy):
        lm = dspy.LM("openai/gpt-4o-mini", temperature=0.5)
        lm.kwargs["top_p"] = 0.25

        assert lm.kwargs["temperature"] == 0.5
        assert lm.kwargs["max_tokens"] is None
        assert lm.copy(temperature=1.0).kwargs["temperature"] == 1.0
        assert lm.copy().kwargs["top_p"] == 0.25


class TestDummies:
    def dummy(self, dspy, *args, **options):
        return dspy.utils.DummyLM(*args, **options)

    def ask(self, dspy, lm, question="?", demos=()):
        with dspy.context(lm=lm, adapter=dspy.ChatAdapter()):
            predict = dspy.Predict("question -> answer")
            predict.demos = list(demos)
            return predict(question=question).answer

    def test_answers_in_order(self, dspy):
        lm = self.dummy(dspy, [{"answer": "a"}, {"answer": "b"}])

        assert [self.ask(dspy, lm), self.ask(dspy, lm)] == ["a", "b"]

    def test_answers_by_question(self, dspy):
        lm = self.dummy(dspy, {"Paris": {"answer": "France"}, "Rome": {"answer": "Italy"}})

        assert [self.ask(dspy, lm, f"Where is {city}?") for city in ("Rome", "Paris")] == ["Italy", "France"]

    def test_answers_as_the_demos_do(self, dspy):
        lm = self.dummy(dspy, [{"answer": "unused"}], follow_examples=True)

        assert self.ask(dspy, lm, "Where?", [dspy.Example(question="Where?", answer="There.")]) == "There."

    @pytest.mark.parametrize("adapter", ["ChatAdapter", "JSONAdapter", "XMLAdapter"])
    def test_answers_in_a_format(self, dspy, adapter):
        adapter = getattr(dspy, adapter)()
        lm = self.dummy(dspy, [{"answer": "a"}] * 2, adapter=adapter)

        with dspy.context(lm=lm, adapter=adapter):
            assert dspy.Predict("question -> answer")(question="?").answer == "a"

    def test_a_reasoning_apart(self, dspy):
        [found] = self.dummy(dspy, [{"answer": "a"}], reasoning=True)("?")

        assert found["reasoning_content"]
        assert "a" in found["text"]


def test_usage_that_a_user_counts(dspy):
    tracker = dspy.utils.usage_tracker.UsageTracker()
    tracker.add_usage("m", {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "details": {"cached": 1}})
    tracker.add_usage("m", {"prompt_tokens": 4, "completion_tokens": 1, "total_tokens": 5, "details": {"cached": None}})
    tracker.add_usage("other", {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2})

    total = tracker.get_total_tokens()["m"]
    assert (total["prompt_tokens"], total["completion_tokens"], total["total_tokens"]) == (5, 3, 8)
    assert total["details"] == {"cached": 1}
    assert [len(tracker.usage_data[model]) for model in ("m", "other")] == [2, 1]
