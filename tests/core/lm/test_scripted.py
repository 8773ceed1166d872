"""LMs that answer from a script."""

import re
import threading

import pytest

from dspex_core import DummyLM, Predict, ScriptedLM, ScriptExhaustedError, context
from dspex_core.messages import FunctionCall, LMOutput, LMRequest, Message


def test_replies_come_in_order_and_then_the_script_is_exhausted():
    lm = ScriptedLM(["one", "two"])
    assert (lm("a"), lm(messages=[{"role": "user", "content": "b"}])) == (["one"], ["two"])
    with pytest.raises(ScriptExhaustedError, match=r"exhausted after 2 calls.*'the third question'") as caught:
        lm("the third question")
    assert caught.value.calls == 2


def test_replies_can_be_chosen_by_what_is_asked():
    lm = ScriptedLM({"weather": "rain", "time": "noon"})
    assert lm("what time is it") == ["noon"]
    with pytest.raises(ScriptExhaustedError, match="it answers: 'weather', 'time'"):
        lm("who are you")


def test_a_function_sees_the_whole_request():
    lm = ScriptedLM(lambda request: f"{len(request.messages)} {request.config['temperature']}")
    assert lm("x", temperature=0.5) == ["1 0.5"]


def test_an_exception_is_raised_and_the_script_goes_on():
    lm = ScriptedLM([TimeoutError("slow"), "fine"])
    with pytest.raises(TimeoutError, match="slow"):
        lm("x")
    assert lm("x") == ["fine"]


def test_fields_are_written_in_the_format_that_the_request_asks_for():
    for adapter in ("chat", "json"):
        with context(lm=ScriptedLM([{"answer": "yes", "sure": [1, 2]}], adapter=adapter)):
            prediction = Predict("question -> answer, sure: list[int]")(question="q")
        assert (prediction.answer, prediction.sure) == ("yes", [1, 2])


def test_dspys_dummy_lm_is_a_scripted_lm():
    with context(lm=DummyLM([{"answer": "yes"}])):
        assert Predict("question -> answer")(question="q").answer == "yes"


def test_threads_get_each_reply_once():
    lm, got = ScriptedLM([str(number) for number in range(200)]), []
    threads = [threading.Thread(target=lambda: got.extend(lm("x")[0] for _ in range(25))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got, key=int) == [str(number) for number in range(200)]


def test_calls_are_remembered_and_copies_start_anew():
    lm = ScriptedLM(["one", "two"])
    lm("x", rollout_id=3)
    assert lm.history[0].request.rollout_id == 3
    assert lm.history[0].response.text == "one"
    assert len(lm.copy(temperature=1.0).history) == 0
    assert "temperature=1.0" in repr(lm.copy(temperature=1.0))


def test_a_call_needs_a_prompt_or_messages():
    with pytest.raises(ValueError, match="either a prompt or messages"):
        ScriptedLM([])()


@pytest.mark.parametrize(
    "asked", [{"prompt": 3}, {"prompt": ["hi"]}, {"messages": "hi"}, {"messages": [None]}], ids=repr
)
def test_a_prompt_or_messages_of_another_kind_are_refused(asked):
    [(name, value)] = asked.items()
    with pytest.raises(TypeError, match=f"{name} of an LM.*not {re.escape(repr(value))}"):
        ScriptedLM(["hi"])(**asked)


def test_a_reply_may_ask_for_function_calls():
    asked = LMOutput("", tool_calls=(FunctionCall("weather", '{"city": "Oslo"}', "1"),))
    lm = ScriptedLM([asked], supports_function_calling=True)
    assert lm.request(LMRequest((Message("user", "x"),))).outputs == (asked,)
    assert lm.supports_function_calling
    assert not ScriptedLM([]).supports_function_calling


def test_a_reply_is_told_word_by_word_and_its_reasoning_first():
    lm = ScriptedLM([LMOutput("so  be\nit", reasoning="hm hm"), "two"])
    told = [(chunk.text, chunk.reasoning, chunk.output) for chunk in lm.stream("x", n=2)]
    assert told == [
        ("", "hm", 0),
        ("", " hm", 0),
        ("so", "", 0),
        ("  be", "", 0),
        ("\nit", "", 0),
        ("two", "", 1),
    ]
