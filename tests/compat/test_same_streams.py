"""What `streamify` and `track_usage` tell of a program is the same in DSPy and in ours, over one server."""

import asyncio
import json

import pytest
import tutorials
from both import chat, in_real
from openai_server import OpenAIServer

QUESTION = {"question": "Who dives?"}
REPLY = chat(reasoning="Otters dive,\nherons do not.", answer="It is the otter.")


def turn(name, **args):
    return chat(next_thought=f"I call {name}.", next_tool_name=name, next_tool_args=args)


def served(dspy, use, replies, **settings):
    """Return what `use(library)` does while a server answers with these replies in order."""
    is_ours = dspy.__name__ == "dspex_core"
    if is_ours:
        settings |= {"recorder": None, "replay_only": False}
    with OpenAIServer(*replies) as server:
        lm = dspy.LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k", cache=False)
        with dspy.context(lm=lm, **{"adapter": dspy.ChatAdapter(), **settings}):
            return use(dspy) if is_ours else in_real(use, dspy)


def listeners(dspy, *fields, **options):
    return [dspy.streaming.StreamListener(signature_field_name=field, **options) for field in fields]


def collected(streamed, **inputs):
    """Return all that a streamed program tells."""

    async def collect():
        return [item async for item in streamed(**inputs)]

    return asyncio.run(collect())


def told(dspy, items):
    """Return the text of each output but for line breaks (DSPy adds some), the messages and the predictions."""
    texts, messages, predictions = {}, [], []
    for item in items:
        if isinstance(item, dspy.streaming.StreamResponse):
            key = (item.predict_name, item.signature_field_name)
            texts[key] = texts.get(key, "") + item.chunk
        elif isinstance(item, dspy.streaming.StatusMessage):
            messages.append(item.message)
        elif isinstance(item, dspy.Prediction):
            predictions.append(dict(item.items()))
    return {key: text.replace("\n", "") for key, text in texts.items()}, messages, predictions


@pytest.mark.parametrize("fields", [["answer"], ["reasoning"], ["reasoning", "answer"]])
@pytest.mark.parametrize("async_streaming", [True, False])
def test_the_text_of_the_outputs_that_are_listened_to(ours, real, fields, async_streaming):
    def use(dspy):
        program = dspy.ChainOfThought("question -> answer")
        streamed = dspy.streamify(program, stream_listeners=listeners(dspy, *fields), async_streaming=async_streaming)
        return told(dspy, collected(streamed, **QUESTION) if async_streaming else list(streamed(**QUESTION)))

    mine, theirs = (served(dspy, use, [REPLY]) for dspy in (ours, real))

    assert [field for _, field in mine[0]] == fields
    assert mine == theirs


def test_a_reply_in_json(ours, real):
    def use(dspy):
        program = dspy.Predict("question -> answer, source")
        return told(dspy, collected(dspy.streamify(program, stream_listeners=listeners(dspy, "answer")), **QUESTION))

    reply = json.dumps({"answer": "Otters, of course.", "source": "a book"})
    mine, theirs = (served(dspy, use, [reply], adapter=dspy.JSONAdapter()) for dspy in (ours, real))

    assert mine[0] == {("self", "answer"): "Otters, of course."}  # theirs has quotes and the next key in it
    assert mine[2] == theirs[2]


def test_of_a_program_of_two_steps(ours, real):
    def use(dspy):
        class Twice(dspy.Module):
            def __init__(self):
                super().__init__()
                self.draft = dspy.Predict("question -> draft")
                self.shorten = dspy.Predict("draft -> answer")

            def forward(self, question):
                return self.shorten(draft=self.draft(question=question).draft)

        streamed = dspy.streamify(Twice(), stream_listeners=listeners(dspy, "draft", "answer"))
        return told(dspy, collected(streamed, **QUESTION))

    replies = [chat(draft="Otters and some other animals."), chat(answer="Otters do.")]
    mine, theirs = (served(dspy, use, replies) for dspy in (ours, real))

    assert mine[0][("draft", "draft")] == "Otters and some other animals."
    assert mine == theirs


@pytest.mark.parametrize("final", [True, False])
def test_whether_the_prediction_comes_last(ours, real, final):
    def use(dspy):
        program = dspy.Predict("question -> answer")
        streamed = dspy.streamify(
            program,
            stream_listeners=listeners(dspy, "answer"),
            include_final_prediction_in_output_stream=final,
        )
        return told(dspy, collected(streamed, **QUESTION))

    mine, theirs = (served(dspy, use, [chat(answer="Otters do.")]) for dspy in (ours, real))

    assert len(mine[2]) == final
    assert mine == theirs


def test_status_messages_of_an_agent(ours, real):
    def use(dspy):
        class Statuses(dspy.streaming.StatusMessageProvider):
            def tool_start_status_message(self, instance, inputs):
                return f"{instance.name} with {inputs}"

            def tool_end_status_message(self, outputs):
                return f"found {outputs}"

            def module_start_status_message(self, instance, inputs):
                return f"{type(instance).__name__} given {sorted(inputs)}"

            def module_end_status_message(self, outputs):
                return f"ended with {sorted(outputs.keys())}"

        streamed = dspy.streamify(
            tutorials.sync_agent(dspy),
            status_message_provider=Statuses(),
            stream_listeners=listeners(dspy, "next_thought", allow_reuse=True),
        )
        return told(dspy, collected(streamed, claim="Otters are mammals."))

    answer = chat(reasoning="It says so.", titles=["otter"])
    replies = [turn("search_pages", query="mammal"), turn("finish"), answer]
    mine, theirs = (served(dspy, use, replies) for dspy in (ours, real))

    assert "found ['otter', 'fox']" in mine[1]
    assert mine == theirs


def test_status_messages_of_an_lm(ours, real):
    def use(dspy):
        class Statuses(dspy.streaming.StatusMessageProvider):
            def lm_start_status_message(self, instance, inputs):
                return f"asking {instance.model} with {len(inputs['messages'])} messages"

            def lm_end_status_message(self, outputs):
                return f"it said {outputs}"

        program = dspy.Predict("question -> answer")
        streamed = dspy.streamify(program, Statuses(), listeners(dspy, "answer"))
        return told(dspy, collected(streamed, **QUESTION))

    mine, theirs = (served(dspy, use, [chat(answer="Otters do.")]) for dspy in (ours, real))

    assert mine[1][0] == "asking openai/gpt-4o-mini with 2 messages"
    assert mine == theirs


def test_usage_of_each_model(ours, real):
    def use(dspy):
        with dspy.track_usage() as usage:
            prediction = dspy.ChainOfThought("question -> answer")(**QUESTION)
            dspy.Predict("question -> answer")(**QUESTION)
        return counted(usage.get_total_tokens()), prediction.answer

    mine, theirs = (served(dspy, use, [REPLY, chat(answer="Otters do.")]) for dspy in (ours, real))

    assert mine[0] == {"openai/gpt-4o-mini": {"prompt_tokens": 14, "completion_tokens": 6, "total_tokens": 20}}
    assert mine == theirs


def test_usage_of_a_prediction(ours, real):
    def use(dspy):
        return counted(dspy.ChainOfThought("question -> answer")(**QUESTION).get_lm_usage())

    mine, theirs = (served(dspy, use, [REPLY], track_usage=True) for dspy in (ours, real))

    assert mine == theirs == {"openai/gpt-4o-mini": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}


def counted(usage):
    """Return the numbers that both count."""
    names = ("prompt_tokens", "completion_tokens", "total_tokens")
    return {model: {name: counts[name] for name in names} for model, counts in usage.items()}
