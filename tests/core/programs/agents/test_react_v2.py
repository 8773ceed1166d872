"""ReActV2: turns that are messages, and an answer that is a call."""

import json

import pytest

from dspex_core import (
    ChatAdapter,
    ConfigurationError,
    ContextWindowExceededError,
    History,
    JSONAdapter,
    LMOutput,
    ReActV2,
    ScriptedLM,
    context,
)
from dspex_core.messages import FunctionCall


def weather(city: str) -> str:
    """Look up the weather of a city."""
    if city == "Atlantis":
        raise LookupError("it has sunk")
    return f"sunny in {city}"


def native(*calls):
    asked = tuple(FunctionCall(name, json.dumps(args), f"id-{name}") for name, args in calls)
    return LMOutput("I call it.", "tool_calls", tool_calls=asked)


def written(*calls):
    listed = json.dumps({"tool_calls": [{"name": name, "args": args} for name, args in calls]})
    return {"next_thought": "I call it.", "tool_calls": listed}


FORMS = pytest.mark.parametrize("form", [native, written])


def run(form, *replies, signature="question -> answer, degrees: int", **inputs):
    options = {"lm": ScriptedLM(list(replies), supports_function_calling=form is native)}
    adapter = JSONAdapter() if form is native else ChatAdapter()
    with context(**options, adapter=adapter):
        agent = ReActV2(signature, [weather])
        return agent(**{"question": "How warm is it in Oslo?", **inputs}), options["lm"]


@FORMS
def test_it_calls_tools_until_it_submits_its_answer(form):
    made, lm = run(form, form(("weather", {"city": "Oslo"})), form(("submit", {"answer": "warm", "degrees": "21"})))
    assert (made.answer, made.degrees, made.termination_reason) == ("warm", 21, "submit")
    first, last = made.history.messages
    assert first["question"] == "How warm is it in Oslo?"
    assert [each.value for each in first["tool_calls"].tool_call_results.tool_call_results] == ["sunny in Oslo"]
    assert last["answer"] == "warm"
    assert "question" not in last
    assert any("sunny in Oslo" in message.text for message in lm.history[-1].request.messages)


@FORMS
def test_an_error_of_a_tool_is_its_result(form):
    calls = form(("weather", {"city": "Atlantis"})), form(("unknown", {})), form(("submit", {"answer": "x"}))
    made, lm = run(form, *calls, form(("submit", {"answer": "cold", "degrees": 3})))
    assert (made.answer, made.degrees) == ("cold", 3)
    assert [error.tool for error in made.get_tool_errors()] == ["weather", "unknown", "submit"]
    told = "\n".join(message.text for message in lm.history[-1].request.messages)
    assert "it has sunk" in told
    assert "'degrees'" in told


@FORMS
def test_an_agent_that_calls_nothing_is_asked_for_its_answer(form):
    silent = LMOutput("It is warm.") if form is native else written()
    made, lm = run(form, silent, form(("submit", {"answer": "warm", "degrees": 21})))
    assert (made.answer, made.termination_reason) == ("warm", "forced_submit")
    choice = lm.history[-1].request.config["tool_choice"]
    assert choice == {"type": "function", "function": {"name": "submit"}}


@pytest.mark.parametrize(
    ("failure", "reason"),
    [("no format at all", "parse_error"), (ContextWindowExceededError("too long"), "context_window_exceeded")],
)
def test_without_an_answer_it_says_why(failure, reason):
    made, _ = run(written, *[failure] * 6)
    assert made.termination_reason == reason
    assert "answer" not in made


def test_the_turns_are_limited():
    made, _ = run(written, *[written(("weather", {"city": "Oslo"}))] * 3, max_iters=2)
    assert made.termination_reason == "max_iters"
    assert len(made.history.messages) == 2


def test_a_conversation_goes_on_with_its_history():
    earlier = History(messages=[{"question": "Hello?", "answer": "Hello!", "degrees": 0}])
    made, lm = run(native, native(("submit", {"answer": "warm", "degrees": 21})), history=earlier)
    assert made.history is earlier
    assert len(earlier.messages) == 2
    assert any("Hello!" in message.text for message in lm.history[-1].request.messages)


def test_a_tool_of_the_name_submit_is_refused():
    def submit():
        """Do something else."""

    with pytest.raises(ConfigurationError, match="'submit': that is how the agent gives its answer"):
        ReActV2("question -> answer", [submit])
