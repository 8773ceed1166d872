"""Programs that tell what they write and do while they run."""

import asyncio
import json
import threading

import pytest

import dspex_core
from dspex_core import (
    AdapterParseError,
    ChainOfThought,
    ChatAdapter,
    ConfigurationError,
    JSONAdapter,
    Module,
    Predict,
    Prediction,
    ScriptedLM,
    TwoStepAdapter,
    XMLAdapter,
    context,
    streamify,
)
from dspex_core.messages import LMChunk
from dspex_core.streaming import (
    StatusMessage,
    StatusMessageProvider,
    StreamListener,
    StreamResponse,
    streaming_response,
)

ANSWER = {"answer": "two words or three"}


def everything(streamed, **inputs):
    async def collect():
        return [item async for item in streamed(**inputs)]

    return asyncio.run(collect())


def heard(items, name=None):
    """The text of each output that was told, by predictor and output."""
    found = {}
    for item in items:
        if isinstance(item, StreamResponse):
            key = (item.predict_name, item.signature_field_name)
            found[key] = item.chunk if item.replaces else found.get(key, "") + item.chunk
    return found


class Twice(Module):
    """Drafts an answer, then shortens it."""

    def __init__(self):
        self.draft = ChainOfThought("question -> draft")
        self.shorten = Predict("draft -> answer")

    def forward(self, question):
        return self.shorten(draft=self.draft(question=question).draft)


class AsyncTwice(Twice):
    async def aforward(self, question):
        return await self.shorten.acall(draft=(await self.draft.acall(question=question)).draft)


TWICE = [{"reasoning": "think a bit", "draft": "a long draft"}, {"answer": "short"}]


@pytest.mark.parametrize("adapter", [ChatAdapter(), JSONAdapter(), XMLAdapter()], ids=repr)
@pytest.mark.parametrize("async_streaming", [True, False])
def test_an_output_is_told_while_it_is_written_and_the_prediction_comes_last(adapter, async_streaming):
    program = Predict("question -> answer")
    text = adapter.assistant(program.signature, ANSWER).text
    streamed = streamify(program, stream_listeners=[StreamListener("answer")], async_streaming=async_streaming)
    with context(lm=ScriptedLM([text]), adapter=adapter):
        items = everything(streamed, question="?") if async_streaming else list(streamed(question="?"))
    *told, prediction = items
    assert len(told) > 2
    assert heard(told) == {("self", "answer"): ANSWER["answer"]}
    assert [response.is_last_chunk for response in told] == [False] * (len(told) - 1) + [True]
    assert isinstance(prediction, Prediction)
    assert prediction.answer == ANSWER["answer"]


@pytest.mark.parametrize("program", [Twice, AsyncTwice])
@pytest.mark.parametrize("async_streaming", [True, False])
def test_the_outputs_of_nested_programs_are_told_under_their_paths(program, async_streaming):
    listeners = [StreamListener("reasoning"), StreamListener("draft"), StreamListener("answer", predict_name="short")]
    listeners[1] = StreamListener("draft", predict=(made := program()).draft.predict)
    streamed = streamify(made, stream_listeners=listeners, async_streaming=async_streaming)
    with context(lm=ScriptedLM(TWICE)):
        items = everything(streamed, question="?") if async_streaming else list(streamed(question="?"))
    assert heard(items) == {
        ("draft.predict", "reasoning"): "think a bit",
        ("draft.predict", "draft"): "a long draft",
        ("short", "answer"): "short",
    }
    assert items[-1].answer == "short"


def test_without_listeners_the_pieces_of_all_replies_are_told():
    with context(lm=ScriptedLM(TWICE)):
        items = everything(streamify(Twice()), question="?")
    chunks = [item for item in items if isinstance(item, LMChunk)]
    assert len(chunks) == len(items) - 1
    assert "a long draft" in "".join(chunk.text for chunk in chunks)


def test_an_output_that_several_predictors_have_needs_to_be_told_apart():
    program = Twice()
    program.other = Predict("answer -> draft")
    with pytest.raises(ConfigurationError, match=r"'draft\.predict', 'other'"):
        streamify(program, stream_listeners=[StreamListener("draft")])


def test_an_output_that_no_predictor_has_is_an_error_that_lists_those_there_are():
    with pytest.raises(ConfigurationError, match=r"'nothing'.*answer, draft, reasoning"):
        streamify(Twice(), stream_listeners=[StreamListener("nothing")])


class Again(Module):
    def __init__(self):
        self.ask = Predict("question -> answer")

    def forward(self, question):
        self.ask(question=question)
        return self.ask(question=question)


@pytest.mark.parametrize(("reuse", "expected"), [(False, "first"), (True, "firstsecond")])
def test_a_listener_hears_the_first_call_or_each(reuse, expected):
    streamed = streamify(Again(), stream_listeners=[StreamListener("answer", allow_reuse=reuse)])
    with context(lm=ScriptedLM([{"answer": "first"}, {"answer": "second"}])):
        assert heard(everything(streamed, question="?")) == {("ask", "answer"): expected}


def test_one_streamed_program_serves_many_runs_at_once():
    streamed = streamify(Predict("question -> answer"), stream_listeners=[StreamListener("answer")])

    async def one(number):
        return heard([item async for item in streamed(question=f"number {number}")])

    async def all_of_them():
        return await asyncio.gather(*map(one, range(20)))

    replies = {f"number {n}\n": {"answer": f"this is {n}"} for n in range(20)}
    with context(lm=ScriptedLM(replies)):
        results = asyncio.run(all_of_them())
    assert results == [{("self", "answer"): f"this is {n}"} for n in range(20)]


def test_a_reply_that_does_not_come_in_pieces_is_told_too():
    streamed = streamify(Predict("question -> answer"), stream_listeners=[StreamListener("answer")])
    with context(lm=WholeLM()):
        assert heard(everything(streamed, question="?")) == {("self", "answer"): "kept"}


class WholeLM(dspex_core.BaseLM):
    """An LM that cannot tell its replies in pieces."""

    recordable = False

    def __init__(self):
        super().__init__("whole")

    def complete(self, request):
        return dspex_core.LMResponse((dspex_core.LMOutput("[[ ## answer ## ]]\nkept\n\n[[ ## completed ## ]]"),))


def test_the_prediction_can_be_left_out_unless_nothing_was_heard():
    program = Again()
    listener = StreamListener("answer")
    streamed = streamify(program, stream_listeners=[listener], include_final_prediction_in_output_stream=False)
    replies = [{"answer": "one"}, {"answer": "two"}]
    with context(lm=ScriptedLM(replies)):
        assert not any(isinstance(item, Prediction) for item in everything(streamed, question="?"))
    whole = streamify(program, include_final_prediction_in_output_stream=False)
    with context(lm=ScriptedLM(replies)):
        assert isinstance(everything(whole, question="?")[-1], Prediction)


def test_with_two_steps_the_outputs_are_told_as_they_are_read_out():
    program = Predict("question -> answer")
    streamed = streamify(program, stream_listeners=[StreamListener("answer")])
    adapter = TwoStepAdapter(ScriptedLM([{"answer": "it is forty two"}]))
    with context(lm=ScriptedLM(["I would say that it is forty two."]), adapter=adapter):
        assert heard(everything(streamed, question="?")) == {("self", "answer"): "it is forty two"}


@pytest.mark.parametrize("async_streaming", [True, False])
def test_the_error_of_the_program_is_raised_after_what_was_told(async_streaming):
    program = Predict("question -> count: int")
    streamed = streamify(program, stream_listeners=[StreamListener("count")], async_streaming=async_streaming)
    replies = ["[[ ## count ## ]]\nmany of them\n\n[[ ## completed ## ]]", '{"count": "lots"}']
    items = []

    async def collect():
        async for item in streamed(question="?"):
            items.append(item)  # noqa: PERF401  what was told before the error is to be seen

    def run():
        if async_streaming:
            asyncio.run(collect())
        else:
            items.extend(streamed(question="?"))

    with context(lm=ScriptedLM(replies)), pytest.raises(AdapterParseError):
        run()
    assert heard(items) == {("self", "count"): "lots"}, "that of the second reply"


UNREAD = "[[ ## thought ## ]]\nso much\n\n[[ ## count ## ]]\nmany"


@pytest.mark.parametrize("parse_retries", [0, 1])
@pytest.mark.parametrize("two_steps", [False, True])
def test_what_is_told_of_a_reply_that_cannot_be_read_is_replaced(parse_retries, two_steps):
    listeners = [StreamListener("thought"), StreamListener("count")]
    streamed = streamify(Predict("question -> thought, count: int"), stream_listeners=listeners)
    lm, adapter = ScriptedLM([UNREAD, {"thought": "too", "count": 7}]), ChatAdapter()
    if two_steps:
        lm, adapter = ScriptedLM(["Seven."]), TwoStepAdapter(lm)
    with context(lm=lm, adapter=adapter, parse_retries=parse_retries):
        items = everything(streamed, question="?")
    assert heard(items) == {("self", "thought"): "too", ("self", "count"): "7"}
    told = [item for item in items if isinstance(item, StreamResponse)]
    assert [item.signature_field_name for item in told if item.replaces] == ["thought", "count"]


def test_reasoning_that_comes_apart_is_told_beside_the_text():
    program = Predict("question -> reasoning: dspex_core.Reasoning, answer")
    draft, final = "[[ ## answer ## ]]\none\n", "[[ ## answer ## ]]\ntwo\n\n[[ ## completed ## ]]"
    output = dspex_core.LMOutput(draft + final, reasoning="think a bit")
    streamed = streamify(program, stream_listeners=[StreamListener("reasoning"), StreamListener("answer")])
    with context(lm=ScriptedLM([output])):
        items = everything(streamed, question="?")
    assert heard(items) == {("self", "reasoning"): "think a bit", ("self", "answer"): "two"}
    assert (items[-1].answer, str(items[-1].reasoning)) == ("two", "think a bit")


class Statuses(StatusMessageProvider):
    def module_start_status_message(self, instance, inputs):
        return f"{type(instance).__name__} of {inputs['kwargs']}"

    def module_end_status_message(self, outputs):
        return f"made {', '.join(outputs)}"

    def lm_start_status_message(self, instance, inputs):
        return f"asking {instance.model}"

    def lm_end_status_message(self, outputs):
        return f"asked: {len(outputs)}"


def test_what_modules_and_lms_do_is_told_in_the_providers_words():
    with context(lm=ScriptedLM([ANSWER])):
        items = everything(streamify(Predict("question -> answer"), Statuses()), question="?")
    messages = [item.message for item in items if isinstance(item, StatusMessage)]
    assert messages == ["Predict of {'question': '?'}", "asking scripted", "asked: 1", "made answer"]


@pytest.mark.parametrize("async_streaming", [True, False])
def test_to_stop_listening_ends_the_program(async_streaming):
    asked = []

    def reply(request):
        asked.append(request)
        return {"answer": "one two three four"}

    class Forever(Module):
        def __init__(self):
            self.ask = Predict("question -> answer")

        def flow(self, **inputs):
            while True:
                yield from Module.steps(self.ask, **inputs)

    streamed = streamify(Forever(), async_streaming=async_streaming)

    async def two():
        stream = streamed(question="?")
        async for _ in stream:
            break
        await stream.aclose()

    before = threading.active_count()
    with context(lm=ScriptedLM(reply)):
        if async_streaming:
            asyncio.run(two())
        else:
            stream = streamed(question="?")
            next(stream)
            stream.close()
            for _ in range(200):
                if threading.active_count() <= before:
                    break
                threading.Event().wait(0.01)
    assert threading.active_count() <= before
    assert len(asked) < 1000


def test_streaming_response_writes_server_sent_events():
    class Words(StatusMessageProvider):
        def lm_start_status_message(self, instance, inputs):
            return "asking"

    async def collect():
        program = streamify(Predict("question -> answer"), Words(), stream_listeners=[StreamListener("answer")])
        return [event async for event in streaming_response(program(question="?"))]

    with context(lm=ScriptedLM([{"answer": "né"}])):
        events = asyncio.run(collect())
    assert all(event.startswith("data: ") and event.endswith("\n\n") for event in events)
    *sent, done = [event.removeprefix("data: ").strip() for event in events]
    assert done == "[DONE]"
    data = [json.loads(event) for event in sent]
    assert data[0] == {"status": "asking"}
    assert data[-1] == {"prediction": {"answer": "né"}}
    assert "".join(event["chunk"]["chunk"] for event in data if "chunk" in event) == "né"
