"""`ToolCalls` and `ToolCallResults`: what a model writes of calls, and what they brought."""

import json

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dspex_core as dspy
from dspex_core import Tool, ToolCallResults, ToolCalls
from dspex_core.messages import FunctionCall, Message

SEARCH = {"name": "search", "args": {"query": "otters"}}
LEAVES = st.none() | st.booleans() | st.integers() | st.text()
JSON = LEAVES | st.lists(LEAVES | st.lists(LEAVES, max_size=3), max_size=3) | st.dictionaries(st.text(), st.text())
CALLS = st.fixed_dictionaries({"name": st.text(min_size=1), "args": st.dictionaries(st.text(), JSON, max_size=4)})


def search(query: str, limit: int = 3) -> str:
    return f"{limit} pages about {query}"


@pytest.mark.parametrize(
    "written",
    [
        {"tool_calls": [SEARCH]},
        [SEARCH],
        SEARCH,
        {"name": "search", "arguments": {"query": "otters"}},
        {"name": "search", "arguments": '{"query": "otters"}'},
        {"name": "search", "args": "{'query': 'otters',}"},
        {"id": None, "type": "function", "function": {"name": "search", "arguments": '{"query": "otters"'}},
        {"type": "function_call", "call_id": None, "name": "search", "arguments": '{"query": "otters"}'},
        [ToolCalls.ToolCall(**SEARCH)],
    ],
)
def test_every_form_of_a_call_is_read(written):
    assert ToolCalls.model_validate(written).format() == {"tool_calls": [SEARCH]}


@pytest.mark.parametrize("arguments", ["", "  ", None, "{}", {}])
def test_no_arguments_are_read_as_none(arguments):
    [call] = ToolCalls.model_validate([{"function": {"name": "now", "arguments": arguments}}]).tool_calls

    assert call.args == {}


@pytest.mark.parametrize(
    "written",
    [
        "search",
        3,
        {"tool_calls": 3},
        [3],
        {"calls": []},
        {"name": "search"},
        {"args": {}},
        {"name": "search", "args": "no JSON"},
        {"name": "search", "args": [1]},
        {"name": "search", "args": "[" * 10_000},
    ],
)
def test_what_is_no_call_is_refused(written):
    with pytest.raises(pydantic.ValidationError):
        ToolCalls.model_validate(written)


@pytest.mark.parametrize("path", ["/etc/hostname", "file:///etc/hostname", "http://127.0.0.1:9/"])
def test_arguments_that_name_a_file_or_an_address_open_nothing(monkeypatch, path):
    def refuse(*arguments, **_):
        pytest.fail(f"opened {arguments!r}")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
    with pytest.raises(pydantic.ValidationError):
        ToolCalls.model_validate({"name": "search", "args": path})


@given(st.lists(CALLS))
def test_calls_survive_json(calls):
    made = ToolCalls.from_dict_list(calls)

    assert made.format() == {"tool_calls": calls}
    assert ToolCalls.model_validate_json(made.model_dump_json()) == made
    as_text = [{"id": "c", "function": {"name": call["name"], "arguments": json.dumps(call["args"])}} for call in calls]
    assert ToolCalls.model_validate(as_text).format() == made.format()


def test_ids_and_results_are_kept_but_not_asked_of_a_model():
    calls = ToolCalls.from_dict_list([{"id": "c1", **SEARCH}])
    done = calls.model_copy(update={"tool_call_results": ToolCallResults.from_tool_calls_and_values(calls, ["3"])})

    assert ToolCalls.model_validate_json(done.model_dump_json()).tool_call_results == {
        "tool_call_results": [{"call_id": "c1", "name": "search", "value": "3", "is_error": False}]
    }
    schema = pydantic.TypeAdapter(ToolCalls).json_schema()
    assert list(schema["properties"]) == ["tool_calls"]
    assert list(schema["$defs"]["ToolCall"]["properties"]) == ["name", "args"]


class TestExecute:
    call = ToolCalls.ToolCall(**SEARCH)

    @pytest.mark.parametrize("functions", [{"search": search}, [Tool(search)], dspy.ToolRegistry([search])])
    def test_finds_the_tool(self, functions):
        assert self.call.execute(functions) == "3 pages about otters"

    def test_names_those_that_there_are(self):
        with pytest.raises(ValueError, match=r"no tool 'search' among those given: 'find'"):
            self.call.execute({"find": search})
        with pytest.raises(ValueError, match="none"):
            self.call.execute([])

    def test_says_what_failed(self):
        with pytest.raises(RuntimeError, match=r"'search' failed: .*'query' is missing") as caught:
            ToolCalls.ToolCall(name="search", args={}).execute([Tool(search)])
        assert isinstance(caught.value.__cause__, dspy.ToolArgumentsError)


class TestResults:
    calls = ToolCalls.from_dict_list([{"id": "c1", **SEARCH}, {"id": "c2", "name": "now", "args": {}}])

    def test_are_paired_with_calls(self):
        results = ToolCallResults.from_tool_calls_and_values(self.calls, ["3", ValueError("no")], [False, True])

        assert [(result.call_id, result.name, result.is_error) for result in results.tool_call_results] == [
            ("c1", "search", False),
            ("c2", "now", True),
        ]
        assert (
            ToolCallResults.from_tool_calls_and_values(self.calls.tool_calls, ["3", "4"]).tool_call_results[1].value
            == "4"
        )

    @pytest.mark.parametrize(("values", "errors"), [(["3"], None), (["3", "4"], [True])])
    def test_must_be_as_many(self, values, errors):
        with pytest.raises(ValueError, match="give equally many"):
            ToolCallResults.from_tool_calls_and_values(self.calls, values, errors)

    @pytest.mark.parametrize("written", [{"name": "now", "value": 3}, [{"name": "now", "value": 3}]])
    def test_are_read_in_every_form(self, written):
        results = ToolCallResults.model_validate(written)

        assert results == ToolCallResults.model_validate({"tool_call_results": [{"name": "now", "value": 3}]})
        assert ToolCallResults.model_validate(results) is results
        with pytest.raises(pydantic.ValidationError):
            ToolCallResults.model_validate("3")


class TestTurns:
    """Of a conversation with native function calling."""

    def done(self, calls, values):
        results = ToolCallResults.from_tool_calls_and_values(calls, values)
        return calls.model_copy(update={"tool_call_results": results})

    def test_are_the_calls_and_their_results(self):
        assert self.done(TestResults.calls, [{"found": 3}, "x" * 200_000]).turn("Let me see.", 1) == (
            Message(
                "assistant",
                "Let me see.",
                (FunctionCall("search", '{"query": "otters"}', "c1"), FunctionCall("now", "{}", "c2")),
            ),
            Message("tool", '{"found": 3}', tool_call_id="c1"),
            Message("tool", "x" * 100_000 + "\n[cut: 100000 of 200000 characters are left out]", tool_call_id="c2"),
        )

    def test_calls_that_were_written_as_text_get_ids(self):
        [asked, answer] = self.done(ToolCalls.from_dict_list([SEARCH]), ["3"]).turn("", 7)

        assert asked.tool_calls[0].id == answer.tool_call_id == "call_7_0"

    def test_calls_without_results_are_left_out(self):
        assert TestResults.calls.turn("Let me see.", 1) == (Message("assistant", "Let me see."),)
        assert TestResults.calls.turn("", 1) == ()
        others = ToolCallResults.model_validate([{"call_id": "c1", "name": "search", "value": 1}])
        assert TestResults.calls.model_copy(update={"tool_call_results": others}).turn("", 1) == ()
