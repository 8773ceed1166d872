"""What agents make of the spellings, forms and values that models and tools really give."""

import json

import pytest

from dspex_core import AdapterParseError, ChatAdapter, JSONAdapter, ReAct, ReActV2, Signature, XMLAdapter, context
from dspex_core.lm.scripted import ScriptedLM
from dspex_core.messages import LMOutput
from dspex_core.messages.functions import FunctionCall
from dspex_core.plain.reading.called_names import called_name

ANSWER = {"reasoning": "seen", "answer": "42"}
WRITTEN = {
    "chat": (ChatAdapter(), lambda name, value: f"[[ ## {name} ## ]]\n{value}\n"),
    "json": (JSONAdapter(), None),
    "xml": (XMLAdapter(), lambda name, value: f"<{name}>\n{value}\n</{name}>"),
}
NATIVE = ChatAdapter(use_native_function_calling=True)


def write(form, fields):
    each = WRITTEN[form][1]
    if each is None:
        return json.dumps(fields)
    return "\n".join(
        each(name, value if isinstance(value, str) else json.dumps(value)) for name, value in fields.items()
    )


def run(replies, adapter, *, tool=None, native=False):
    """Return the arguments of the calls of `search`, and the prediction; a call too many fails the script."""
    calls = []

    def search(query: str, limit: int = 5) -> str:
        calls.append((query, limit))
        return "found"

    with context(lm=ScriptedLM(replies, supports_function_calling=native), adapter=adapter):
        return calls, ReAct("question -> answer", tools=[tool or search])(question="what?")


def written(form, name, args, **options):
    turns = [{"next_thought": "t", "next_tool_name": name, "next_tool_args": args}]
    if called_name(name, ["finish"]) != "finish":
        turns.append({"next_thought": "t", "next_tool_name": "finish", "next_tool_args": None})
    return run([write(form, fields) for fields in (*turns, ANSWER)], WRITTEN[form][0], **options)


def called(*calls, **options):
    turns = [LMOutput("", tool_calls=tuple(FunctionCall(*call) for call in calls))]
    if all(called_name(name, ["finish"]) != "finish" for name, _ in calls):
        turns.append(LMOutput("", tool_calls=(FunctionCall("finish", "null", "f"),)))
    return run([*turns, write("chat", ANSWER)], NATIVE, native=True, **options)


SPELLINGS = ["{}", " {} ", "`{}`", "functions.{}", "{}()", "tools.{}()", '{}(query="x")']
CALLS = ["default_api.{}", "functions:{}", "functions.{}:0", "{}:3", "tools/{}", "<{}>", "call {}", "{}."]


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("name", ["Search", "finish"])
def test_a_tool_is_known_by_the_spellings_of_its_name_in_a_text(form, spelling, name):
    calls, prediction = written(form, spelling.format(name), {"query": "x"} if "f" not in name.lower() else {})
    assert (calls, prediction.answer) == ([("x", 5)] if name.lower() == "search" else [], "42")


@pytest.mark.parametrize("spelling", [*SPELLINGS, *CALLS])
@pytest.mark.parametrize("name", ["search", "Finish"])
def test_a_tool_is_known_by_the_spellings_of_its_name_in_a_call(spelling, name):
    calls, prediction = called((spelling.format(name), '{"query": "x"}'))
    assert (calls, prediction.answer) == ([("x", 5)] if name.lower() == "search" else [], "42")


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("a.search", ["search", "a.search"], "a.search"),
        ("Search", ["search", "SEARCH"], "Search"),
        ("find", ["search"], "find"),
        ("", ["search"], ""),
        ("search_2", ["search"], "search_2"),
        ("get-order", ["get_order"], "get_order"),
        ("(" * 5000, ["search"], "(" * 5000),
    ],
)
def test_a_name_that_is_known_or_means_several_tools_stays_as_it_is(name, known, meant):
    assert called_name(name, known) == meant


FORMS = [
    {"query": "x"},
    [{"query": "x"}],
    {"args": {"query": "x"}},
    {"arguments": {"query": "x"}},
    {"kwargs": {"query": "x"}},
]
FORMS += [{"name": "search", "arguments": {"query": "x"}}, {"Query": "x"}]


@pytest.mark.parametrize("args", FORMS)
def test_arguments_are_found_in_what_models_put_around_them(args):
    assert called(("search", json.dumps(args)))[0] == [("x", 5)]
    assert called(("search", json.dumps(json.dumps(args))))[0] == [("x", 5)]
    for form in WRITTEN:
        assert written(form, "search", args)[0] == [("x", 5)]


@pytest.mark.parametrize("args", [None, "", [], "null", "None", "N/A", "[]", {}])
def test_no_arguments_in_any_form_are_none(args):
    def now() -> str:
        return "noon"

    for form in WRITTEN:
        _, prediction = written(form, "now", args, tool=now)
        assert prediction.trajectory["observation_0"] == "noon"
    _, prediction = called(("now", args if isinstance(args, str) else json.dumps(args)), tool=now)
    assert prediction.trajectory["observation_0"] == "noon"


def test_a_tool_with_an_argument_of_the_name_of_a_wrapper_gets_it():
    def search(args: dict[str, str]) -> str:
        return ", ".join(args)

    _, prediction = called(("search", '{"args": {"query": "x"}}'), tool=search)
    assert prediction.trajectory["observation_0"] == "query"


class Unshown:
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


UNSHOWN = {"object": Unshown(), "list": [Unshown()], "dict": {"a": Unshown()}, "big": 10**5000, "bytes": b"\xff"}


@pytest.mark.parametrize("value", UNSHOWN.values(), ids=UNSHOWN)
def test_a_result_whose_text_cannot_be_made_is_shown_as_such(value):
    def search(query: str):
        return value

    assert written("chat", "search", {"query": "x"}, tool=search)[1].answer == "42"
    assert called(("search", '{"query": "x"}'), tool=search)[1].answer == "42"


def generator(query: str):
    yield query


async def async_generator(query: str):
    yield query


@pytest.mark.parametrize("tool", [generator, async_generator])
def test_a_generator_whose_code_has_not_run_is_an_error_of_the_tool(tool):
    _, prediction = called((tool.__name__, '{"query": "x"}'), tool=tool)
    assert "whose code has not run" in prediction.trajectory["observation_0"]
    assert len(prediction.get_tool_errors()) == 1


@pytest.mark.parametrize("name", ["submit", "Submit", "functions.submit", "submit:0"])
def test_the_answer_of_the_other_agent_is_known_by_its_spellings_too(name):
    reply = LMOutput("", tool_calls=(FunctionCall(name, '{"answer": "42"}', "1"),))
    with context(lm=ScriptedLM([reply], supports_function_calling=True), adapter=NATIVE):
        assert ReActV2("question -> answer", tools=[])(question="what?").answer == "42"


@pytest.mark.parametrize("value", ["null", "[]", '[{"a": 1}]', "5", '"text"'])
def test_an_object_around_a_wrong_value_is_not_the_value(value):

    with pytest.raises(AdapterParseError):
        JSONAdapter().parse(Signature("question -> found: dict[str, int]"), f'{{"found": {value}}}')
