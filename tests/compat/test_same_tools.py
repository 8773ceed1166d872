"""Tools and their calls, in DSPy and in ours."""

import asyncio
import json

import pydantic
import pytest

from dspex_core.messages import FunctionCall


class Place(pydantic.BaseModel):
    city: str
    zip: int | None = None


def search(query: str, limit: int = 3, near: Place | None = None, tags: list[str] = []) -> str:  # noqa: B006  a user's
    """Find pages."""
    return f"{query} {limit} {near} {tags}"


async def asearch(query: str) -> str:
    """Find pages."""
    return f"pages about {query}"


@pytest.mark.parametrize("made_of", [search, asearch])
def test_of_a_function(ours, real, made_of):
    mine, theirs = ours.Tool(made_of), real.Tool(made_of)

    assert (mine.name, mine.desc, mine.args, mine.arg_types, mine.has_kwargs) == (
        theirs.name,
        theirs.desc,
        theirs.args,
        {name: kind for name, kind in theirs.arg_types.items() if name != "return"},
        theirs.has_kwargs,
    )
    assert mine.format_as_litellm_function_call() == theirs.format_as_litellm_function_call()


def test_named_and_described_by_the_user(ours, real):
    told = {"name": "find", "desc": "Find.", "arg_desc": {"query": "the words"}}

    mine, theirs = (dspy.Tool(search, **told) for dspy in (ours, real))

    assert (mine.name, mine.desc, mine.args) == (theirs.name, theirs.desc, theirs.args)


@pytest.mark.parametrize(
    "args", [{"query": "x"}, {"query": "x", "limit": 4, "near": {"city": "Graz", "zip": "8010"}, "tags": ["a"]}]
)
def test_called(ours, real, args):
    mine, theirs = (dspy.Tool(search) for dspy in (ours, real))

    assert mine(**args) == theirs(**args)
    assert asyncio.run(mine.acall(**args)) == asyncio.run(theirs.acall(**args))


@pytest.mark.parametrize("args", [{"query": ["x"]}, {"query": "x", "limit": "many"}, {"query": "x", "page": 1}])
def test_called_with_wrong_arguments(ours, real, args):
    for dspy in (ours, real):
        with pytest.raises(ValueError):
            dspy.Tool(search)(**args)


CALLS = [{"id": "c1", "name": "search", "args": {"query": "x"}}, {"name": "now", "args": {}}]


@pytest.mark.parametrize(
    "written",
    [
        CALLS,
        {"tool_calls": CALLS},
        CALLS[0],
        [{"name": "search", "arguments": '{"query": "x"'}],
        [{"id": "c", "type": "function", "function": {"name": "search", "arguments": '{"query": "x"}'}}],
    ],
)
def test_calls_in_every_form(ours, real, written):
    mine, theirs = (dspy.ToolCalls.model_validate(written) for dspy in (ours, real))

    assert mine.format() == theirs.format()
    assert [(call.id, call.name, call.args) for call in mine.tool_calls] == [
        (call.id, call.name, call.args) for call in theirs.tool_calls
    ]


def test_calls_executed(ours, real):
    found = []
    for dspy in (ours, real):
        calls = dspy.ToolCalls.from_dict_list(CALLS)
        functions = {"search": search, "now": lambda: "noon"}
        values = [call.execute(functions) for call in calls.tool_calls]
        results = dspy.ToolCallResults.from_tool_calls_and_values(calls, values)
        found.append((values, calls.tool_calls[0].execute([dspy.Tool(search)]), results.model_dump()))
        with pytest.raises(ValueError, match="now"):
            calls.tool_calls[1].execute({"search": search})
        with pytest.raises(RuntimeError):
            calls.tool_calls[1].execute({"now": search})

    assert found[0] == found[1]


def test_calls_that_a_model_writes(ours, real):
    reply = "\n\n".join(
        f"[[ ## {name} ## ]]\n{value}"
        for name, value in {"thought": "Hm.", "calls": json.dumps({"tool_calls": CALLS[1:]}), "completed": ""}.items()
    )

    mine, theirs = acted(ours, ours.ScriptedLM([reply])), acted(real, scripted(real, reply))

    assert mine == theirs == ("Hm.", {"tool_calls": CALLS[1:]})


@pytest.mark.parametrize("text", ["", "[[ ## thought ## ]]\nHm."])
@pytest.mark.parametrize("calls", [[("c1", "search", '{"query": "x"}'), ("c2", "now", "")], []])
def test_calls_that_come_apart(ours, real, text, calls):
    asked = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": args}} for id_, name, args in calls
    ]
    output = ours.LMOutput(text, tool_calls=tuple(FunctionCall.from_json(call) for call in asked))
    lms = (
        ours.ScriptedLM([output] * 2, supports_function_calling=True),
        scripted(real, {"text": text, "tool_calls": asked}),
    )
    found = []
    for dspy, lm in zip((ours, real), lms, strict=True):
        options = {"use_native_function_calling": True, "use_json_adapter_fallback": False}
        try:
            found.append(acted(dspy, lm, **options))
        except (ours.AdapterParseError, real.utils.exceptions.AdapterParseError) as error:
            found.append(type(error).__name__)

    assert found[0] == found[1]


def acted(dspy, lm, **options):
    """Return what a program wants done, with the calls as data."""

    class Act(dspy.Signature):
        question: str = dspy.InputField()
        tools: list[dspy.Tool] = dspy.InputField()
        thought: str = dspy.OutputField()
        calls: dspy.ToolCalls = dspy.OutputField()

    with dspy.context(lm=lm, adapter=dspy.ChatAdapter(**options)):
        prediction = dspy.Predict(Act)(question="What?", tools=[dspy.Tool(search)])
    return prediction.thought, prediction.calls and prediction.calls.format()


def scripted(dspy, reply):
    class Scripted(dspy.BaseLM):
        supports_function_calling = True

        def __init__(self):
            super().__init__("scripted", "chat", 0.0, 1000, cache=False)

        def __call__(self, prompt=None, messages=None, **kwargs):
            return [reply]

    return Scripted()
