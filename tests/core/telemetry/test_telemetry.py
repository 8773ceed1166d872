"""Events tell what happens, to those who listen."""

import asyncio

import pytest

from dspex_core import ChainOfThought, Evaluate, Example, Predict, ScriptedLM, context, exact_match, track_usage
from dspex_core.telemetry.spans import span


def test_a_call_tells_of_each_span_inside_the_other():
    events = []
    with context(lm=ScriptedLM([{"reasoning": "r", "answer": "a"}]), listeners=(events.append,)):
        ChainOfThought("question -> answer")(question="q")
    assert [event.name for event in events] == [
        "dspex.module.start",
        "dspex.predict.start",
        "dspex.lm.start",
        "dspex.lm.stop",
        "dspex.predict.stop",
        "dspex.module.stop",
    ]
    module, predict, lm = events[:3]
    assert (module.parent_id, predict.parent_id, lm.parent_id) == (None, module.span_id, predict.span_id)
    assert events[2].attributes["request"].messages[-1].role == "user"
    assert events[3].attributes["result"].usage.completion_tokens > 0
    assert events[1].attributes["inputs"] == {"question": "q"}
    assert events[4].attributes["result"].answer == "a"
    assert 0 <= events[3].duration <= events[5].duration
    assert events[0].duration is None


def test_async_calls_keep_their_spans_apart():
    events = []

    async def two():
        with context(lm=ScriptedLM(lambda _: {"answer": "a"}), listeners=(events.append,)):
            predict = Predict("question -> answer")
            await asyncio.gather(predict.acall(question="1"), predict.acall(question="2"))

    asyncio.run(two())
    parents = {event.span_id: event.parent_id for event in events}
    lms = {event.span_id for event in events if event.name == "dspex.lm.start"}
    assert len({parents[span_id] for span_id in lms}) == 2


def test_an_error_is_told_and_raised():
    events = []
    with (
        context(listeners=(events.append,), lm=ScriptedLM([ValueError("no")])),
        pytest.raises(ValueError, match="no"),
    ):
        Predict("question -> answer")(question="q")
    assert [event.name for event in events if "exception" in event.name] == [
        "dspex.lm.exception",
        "dspex.predict.exception",
    ]
    assert str(events[-1].attributes["error"]) == "no"


def test_a_listener_that_fails_is_logged_and_harms_nothing(caplog):
    def broken(event):
        raise RuntimeError("broken listener")

    with context(listeners=(broken,)), span("thing", {}):
        pass
    assert "broken listener" in caplog.text


def test_what_a_block_adds_is_in_its_end_and_not_in_its_start():
    events = []
    with context(listeners=[events.append]), span("rerank", {"query": "q"}) as attributes:
        attributes["kept"] = 3
    start, stop = events
    assert (start.kind, start.moment, start.name) == ("rerank", "start", "dspex.rerank.start")
    assert (start.attributes, stop.attributes) == ({"query": "q"}, {"query": "q", "kept": 3})
    assert start.span_id == stop.span_id
    assert start.time <= stop.time


def test_a_block_that_nobody_listens_to_takes_attributes_all_the_same():
    with span("rerank", {"query": "q"}) as attributes:
        attributes["kept"] = 3
    assert attributes == {"query": "q", "kept": 3}


def test_the_events_of_adapters_are_for_callbacks_alone():
    events, told = [], []
    with context(lm=ScriptedLM([{"answer": "a"}]), listeners=[events.append], callbacks=[told.append]):
        Predict("question -> answer")(question="q")
    assert {event.kind for event in events} == {"predict", "lm"}
    assert {event.kind for event in told} == {"predict", "lm", "adapter_format", "adapter_parse"}


def test_those_who_listen_when_a_span_begins_are_told_of_its_end():
    outer, inner = [], []
    with context(listeners=[outer.append]), span("outer", {}), context(listeners=[inner.append]), span("inner", {}):
        pass
    assert [event.name for event in outer] == ["dspex.outer.start", "dspex.outer.stop"]
    assert [event.name for event in inner] == ["dspex.inner.start", "dspex.inner.stop"]
    assert inner[0].parent_id == outer[0].span_id


def test_a_cancelled_call_is_told_as_an_error():
    events = []

    class Slow(ScriptedLM):
        async def acomplete(self, request):
            await asyncio.sleep(60)

    async def late():
        async with asyncio.timeout(0.01):
            await Predict("question -> answer").acall(question="q")

    with context(lm=Slow([]), listeners=[events.append]), pytest.raises(TimeoutError):
        asyncio.run(late())
    ends = [event for event in events if event.moment != "start"]
    assert [(event.name, type(event.attributes["error"])) for event in ends] == [
        ("dspex.lm.exception", asyncio.CancelledError),
        ("dspex.predict.exception", asyncio.CancelledError),
    ]


def test_an_evaluation_tells_its_result():
    events = []
    devset = [Example(question="q", answer="a").with_inputs("question")]
    with context(listeners=(events.append,), lm=ScriptedLM(lambda _: {"answer": "a"})):
        Evaluate(devset=devset, metric=exact_match("answer"))(Predict("question -> answer"))
    assert (events[0].name, events[-1].name) == ("dspex.evaluate.start", "dspex.evaluate.stop")
    assert events[-1].attributes["result"].mean == 1.0


def test_usage_is_counted_by_nested_blocks():
    predict = Predict("question -> answer")
    with context(lm=ScriptedLM(lambda _: {"answer": "a"})), track_usage() as outer:
        predict(question="q")
        with track_usage() as inner:
            predict(question="q")
    assert (outer.calls, inner.calls, inner.cached_calls) == (2, 1, 0)
    assert outer.total.total_tokens == 2 * inner.total.total_tokens > 0
    assert outer.by_model == {"scripted": outer.total}
