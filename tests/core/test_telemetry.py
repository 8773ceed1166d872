"""Events tell what happens, to those who listen."""

import asyncio

import pytest

from dspex_core import ChainOfThought, Evaluate, Example, Predict, ScriptedLM, context, exact_match, track_usage
from dspex_core.telemetry import span


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
    assert events[3].attributes["usage"].completion_tokens > 0
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
