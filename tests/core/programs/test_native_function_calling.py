"""Tools that go to the LM apart from the prompt, and tools in the prompt where they cannot."""

import io
import json

import pytest

import dspex_core as dspy
from dspex_core import LMOutput, Message, ScriptedLM, Tool, ToolCallResults, ToolCalls
from dspex_core.errors import AdapterParseError, SignatureError
from dspex_core.messages import FunctionCall


def search(query: str) -> str:
    """Find pages."""
    return f"pages about {query}"


def now() -> str:
    """Tell the time."""
    return "noon"


class Act(dspy.Signature):
    """Answer the question."""

    question: str = dspy.InputField()
    tools: list[Tool] = dspy.InputField()
    thought: str = dspy.OutputField()
    calls: ToolCalls = dspy.OutputField()


class Chat(dspy.Signature):
    """Answer the question."""

    question: str | None = dspy.InputField(default=None)
    history: dspy.History = dspy.InputField()
    tools: list[Tool] = dspy.InputField()
    thought: str = dspy.OutputField()
    calls: ToolCalls = dspy.OutputField()


CALL = FunctionCall("search", '{"query": "otters"}', "c1")
CALLS = ToolCalls.from_dict_list([{"id": "c1", "name": "search", "args": {"query": "otters"}}])
AS_TEXT = json.dumps({"tool_calls": [{"name": "search", "args": {"query": "otters"}}]})
NATIVE = [
    dspy.JSONAdapter(),
    dspy.JSONAdapter(shows_types=False),
    dspy.JSONAdapter(outlines_types=True),
    dspy.ChatAdapter(use_native_function_calling=True),
    dspy.XMLAdapter(use_native_function_calling=True),
]


def calling(*replies):
    return ScriptedLM(replies, supports_function_calling=True)


def ask(lm, adapter, signature=Act, **inputs):
    with dspy.context(lm=lm, adapter=adapter):
        return dspy.Predict(signature)(**{"question": "What?", "tools": [search, now], **inputs})


def asked(lm):
    return lm.history[-1].request


@pytest.mark.parametrize("adapter", NATIVE, ids=repr)
class TestAnLMThatCan:
    def test_is_given_the_tools_apart_and_its_calls_are_the_output(self, adapter):
        lm = calling(LMOutput("", tool_calls=(CALL, FunctionCall("now", ""))))

        prediction = ask(lm, adapter)

        assert prediction.thought is None
        assert prediction.calls.tool_calls == [*CALLS.tool_calls, ToolCalls.ToolCall(name="now", args={})]
        assert asked(lm).tools == (Tool(search).spec(), Tool(now).spec())
        assert asked(lm).response_schema is None
        shown = "".join(message.text for message in asked(lm).messages)
        assert "thought" in shown
        assert "tools" not in shown
        assert "calls" not in shown

    def test_may_write_beside_its_calls(self, adapter):
        text = {
            dspy.JSONAdapter: '{"thought": "Let me see."}',
            dspy.ChatAdapter: "[[ ## thought ## ]]\nLet me see.",
            dspy.XMLAdapter: "<thought>Let me see.</thought>",
        }[type(adapter)]

        assert ask(calling(LMOutput(text, tool_calls=(CALL,))), adapter).thought == "Let me see."
        assert ask(calling(LMOutput(text)), adapter).toDict() == {"thought": "Let me see.", "calls": None}
        assert ask(calling(LMOutput("I'll look.", tool_calls=(CALL,))), adapter).calls == CALLS

    def test_may_be_asked_for_nothing_but_calls(self, adapter):
        lm = calling(LMOutput("", tool_calls=(CALL,)), LMOutput("Hello."))

        for expected in (CALLS, None):
            assert ask(lm, adapter, "question, tools: list[dspy.Tool] -> calls: dspy.ToolCalls").calls == expected
            shown = "".join(message.text for message in asked(lm).messages)
            assert "Answer with" not in shown
            assert "Reply with" not in shown
            assert "Outputs" not in shown

    def test_that_answers_with_nothing_is_an_error(self, adapter):
        with pytest.raises(AdapterParseError, match="neither text nor a call"):
            ask(calling(*[LMOutput(" ")] * 2), adapter)

    def test_that_writes_arguments_that_are_no_json_is_told(self, adapter):
        bad = LMOutput("", tool_calls=(FunctionCall("search", "otters", "c1"),))
        lm = calling(bad, LMOutput("", tool_calls=(CALL,)))

        with dspy.context(parse_retries=1):
            assert ask(lm, adapter).calls == CALLS
        assert "calls" in asked(lm).messages[-1].text
        with pytest.raises(AdapterParseError, match=r"calls: tool_calls\.0\.args"):
            ask(calling(bad, bad), adapter)

    def test_may_be_kept_from_asking_for_several(self, adapter):
        adapter = type(adapter)(use_native_function_calling=True, parallel_tool_calls=False)
        lm = calling(LMOutput("", tool_calls=(CALL,)))

        ask(lm, adapter)

        assert asked(lm).config == {"parallel_tool_calls": False}

    def test_goes_on_from_the_results_of_earlier_calls(self, adapter):
        done = CALLS.model_copy(
            update={"tool_call_results": ToolCallResults.from_tool_calls_and_values(CALLS, [{"pages": 3}])}
        )
        history = dspy.History(messages=[{"question": "What?", "calls": done}, {"calls": done.model_dump()}])
        lm = calling(*[LMOutput("", tool_calls=(CALL,))] * 2)

        ask(lm, adapter, Chat, history=history, question=None)

        _, question, *rest = asked(lm).messages
        assert "What?" in question.text
        turn = [Message("assistant", "", (CALL,)), Message("tool", '{"pages": 3}', tool_call_id="c1")]
        assert rest == turn * 2

        ask(lm, adapter, Chat, history=history, question="And?")

        assert asked(lm).messages[-1].role == "user"
        assert "And?" in asked(lm).messages[-1].text

    def test_sees_what_it_wrote_beside_earlier_calls(self, adapter):
        done = CALLS.model_copy(update={"tool_call_results": ToolCallResults.from_tool_calls_and_values(CALLS, ["3"])})
        history = [{"question": "What?", "thought": "Let me see.", "calls": done}, {"question": "b", "thought": "c"}]
        lm = calling(LMOutput("", tool_calls=(CALL,)))

        ask(lm, adapter, Chat, history=dspy.History(messages=history))

        assert "Let me see." in asked(lm).messages[2].text
        assert asked(lm).messages[2].tool_calls == (CALL,)
        assert "calls" not in asked(lm).messages[5].text.replace("supplied", "")


class TestAnLMThatCannot:
    @pytest.mark.parametrize("adapter", [dspy.JSONAdapter(), dspy.ChatAdapter(), dspy.XMLAdapter()], ids=repr)
    def test_reads_of_the_tools_in_the_prompt_and_writes_its_calls(self, adapter):
        reply = adapter.assistant(Act, {"thought": "Let me see.", "calls": json.loads(AS_TEXT)}).text
        lm = ScriptedLM([reply])

        prediction = ask(lm, adapter)

        assert prediction.thought == "Let me see."
        assert prediction.calls.format() == json.loads(AS_TEXT)
        assert asked(lm).tools == ()
        shown = asked(lm).messages[-1].text
        assert "search: Find pages. Arguments: query (str)" in shown
        assert "now: Tell the time. Arguments: nothing" in shown

    def test_reads_of_earlier_calls_and_their_results(self):
        results = ToolCallResults.from_tool_calls_and_values(CALLS, ["three pages"])
        turn = {"question": "What?", "thought": "t", "calls": CALLS.model_copy(update={"tool_call_results": results})}
        lm = ScriptedLM([{"thought": "x", "calls": AS_TEXT}])

        ask(lm, dspy.ChatAdapter(), Chat, history=dspy.History(messages=[turn]))

        _, question, reply, result, _ = asked(lm).messages
        assert "What?" in question.text
        assert AS_TEXT in reply.text
        assert result == Message("user", '[[ ## tool_call_results ## ]]\n[{"name": "search", "value": "three pages"}]')

    def test_reads_of_earlier_calls_without_results(self):
        lm = ScriptedLM([{"thought": "x", "calls": AS_TEXT}])

        ask(lm, dspy.ChatAdapter(), Chat, history=dspy.History(messages=[{"thought": "t", "calls": CALLS}]))

        _, reply, _ = asked(lm).messages
        assert (reply.role, AS_TEXT in reply.text) == ("assistant", True)

    def test_of_the_chat_adapter_is_not_told_to_unless_wanted(self):
        lm = calling({"thought": "x", "calls": AS_TEXT})

        ask(lm, dspy.ChatAdapter())

        assert asked(lm).tools == ()

    def test_gets_no_tools_in_two_steps(self):
        reader = ScriptedLM([{"thought": "x", "calls": AS_TEXT}])
        lm = calling("Search for otters.")

        assert ask(lm, dspy.TwoStepAdapter(reader)).calls.format() == json.loads(AS_TEXT)
        assert asked(lm).tools == ()


class TestSignatures:
    def test_that_ask_for_calls_without_tools_are_refused(self):
        signature = "question -> calls: dspy.ToolCalls"

        with pytest.raises(SignatureError, match=r"'calls'.*add an input of the type list\[Tool\]"):
            ask(calling(), dspy.JSONAdapter(), signature)
        text = {"calls": AS_TEXT}
        assert ask(ScriptedLM([text]), dspy.ChatAdapter(), signature).calls.format() == json.loads(AS_TEXT)

    def test_with_tools_and_no_calls_show_them(self):
        lm = calling({"plan": "Search."})

        ask(lm, dspy.JSONAdapter(), "question, tools: list[dspy.Tool] -> plan")

        assert "Find pages" in asked(lm).messages[-1].text
        assert asked(lm).tools == ()

    def test_take_one_tool_or_a_program(self):
        lm = calling(LMOutput("", tool_calls=(CALL,)))

        ask(lm, dspy.JSONAdapter(), "question, tools: dspy.Tool -> calls: dspy.ToolCalls", tools=dspy.Predict("q -> a"))

        assert [tool.name for tool in asked(lm).tools] == ["Predict"]

    def test_without_a_tool_at_hand_ask_for_text(self):
        lm = calling(LMOutput('{"thought": "None."}'))

        assert ask(lm, dspy.JSONAdapter(), tools=[]).toDict() == {"thought": "None.", "calls": None}

    def test_refuse_what_is_no_tool(self):
        with pytest.raises(SignatureError, match="'tools' does not fit"):
            ask(calling(), dspy.JSONAdapter(), tools=["search"])

    def test_reasoning_that_came_apart_is_an_output_too(self):
        reasoned = Act.with_updated_fields("thought", type_=dspy.Reasoning)

        prediction = ask(calling(LMOutput("", reasoning="Hm.", tool_calls=(CALL,))), dspy.JSONAdapter(), reasoned)
        assert (prediction.thought, prediction.calls) == ("Hm.", CALLS)
        assert ask(calling(LMOutput("", tool_calls=(CALL,))), dspy.JSONAdapter(), reasoned).thought is None


def test_each_of_several_completions_has_its_calls():
    reply = LMOutput("", tool_calls=(CALL,))
    with dspy.context(lm=calling(reply, reply), adapter=dspy.JSONAdapter()):
        prediction = dspy.Predict(Act)(question="What?", tools=[search], config={"n": 2})

    assert [calls.format() for calls in prediction.completions.calls] == [CALLS.format()] * 2


def test_calls_are_shown_in_the_history():
    done = CALLS.model_copy(update={"tool_call_results": ToolCallResults.from_tool_calls_and_values(CALLS, ["3"])})
    lm, shown = calling(LMOutput("Hm.", tool_calls=(FunctionCall("now", "{}"),))), io.StringIO()

    ask(lm, dspy.JSONAdapter(), Chat, history=dspy.History(messages=[{"calls": done}]))
    lm.inspect_history(file=shown)

    assert 'Assistant message:\n\n(call) search {"query": "otters"}\n' in shown.getvalue()
    assert "Hm.\n(call) now {}\n" in shown.getvalue()


def test_demos_with_tools_are_saved_and_shown(tmp_path):
    lm = calling(LMOutput("", tool_calls=(CALL,)))
    predict = dspy.Predict(Act)
    with dspy.context(lm=lm, adapter=dspy.JSONAdapter(), trace=[]):
        prediction = predict(question="What?", tools=[search])
        [(_, inputs, _)] = dspy.settings.trace
    predict.demos = [dspy.Example(**inputs, **prediction.toDict())]
    predict.save(tmp_path / "state.json")
    loaded = dspy.Predict(Act)
    loaded.load(tmp_path / "state.json")
    reader = ScriptedLM([{"thought": "x", "calls": AS_TEXT}])

    with dspy.context(lm=reader):
        loaded(question="And?", tools=[search])

    assert "search: Find pages. Arguments: query (str)" in asked(reader).messages[1].text
    assert '"query": "otters"' in asked(reader).messages[2].text
    assert "null" not in asked(reader).messages[2].text


@pytest.mark.parametrize("adapter", NATIVE, ids=repr)
@pytest.mark.parametrize("calls", [(), (CALL,)])
def test_a_text_without_any_format_is_the_only_text_that_is_asked_for(adapter, calls):
    found = ask(calling(LMOutput("I will look it up.", tool_calls=calls)), adapter)
    assert found.thought == "I will look it up."
    assert bool(found.calls) == bool(calls)
