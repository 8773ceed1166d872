"""CodeAct: acting by code that calls tools."""

import asyncio
import time

import pytest

from dspex_core import (
    ArtifactError,
    CodeAct,
    ConfigurationError,
    ContextWindowExceededError,
    InterpreterError,
    Module,
    PythonInterpreter,
    ScriptedLM,
    context,
    load,
)
from dspex_core.tools import Tool

both = pytest.mark.parametrize("how", ["sync", "async"])


def search(query: str, limit: int = 3) -> list[str]:
    """Find pages."""
    if query == "nothing":
        raise LookupError("no such page")
    return [f"{query} {number}" for number in range(limit)]


async def price(of: str) -> float:
    """Say what it costs."""
    await asyncio.sleep(0)
    return len(of) / 2


class Stock:
    def __call__(self, of: str) -> int:
        """How many there are."""
        return len(of)


def act(text, *, finished=False):
    return {"generated_code": f"```python\n{text}\n```", "finished": str(finished)}


DONE = {"reasoning": "as found", "answer": "3"}


def run(program, how="sync", replies=(), *args, **inputs):
    lm = ScriptedLM(replies)
    with context(lm=lm, track_usage=True):
        found = program(*args, **inputs) if how == "sync" else asyncio.run(program.acall(*args, **inputs))
    return found, lm


def asked(lm, number):
    return lm.history[number].request.messages[-1].text


def observed(source, tools):
    """What the model is told of a piece of code."""
    found, lm = run(CodeAct("question -> answer", tools), "sync", [act(source, finished=True), DONE], question="q")
    told = found.trajectory.get("code_output_0", found.trajectory.get("observation_0"))
    assert told in asked(lm, 1)
    return told


# A run


@both
def test_it_acts_until_it_has_finished_and_then_answers(how):
    program = CodeAct("question -> answer: int", [search])
    replies = [act("found = search(question, 2)\nprint(found)"), act("len(found[0])", finished=True), DONE]
    found, lm = run(program, how, replies, question="lamp")
    assert dict(found.items()) == {
        "reasoning": "as found",
        "answer": 3,
        "trajectory": {
            "generated_code_0": "found = search(question, 2)\nprint(found)",
            "code_output_0": "['lamp 0', 'lamp 1']",
            "generated_code_1": "len(found[0])",
            "code_output_1": "6",
        },
    }
    assert "generated_code_0" not in asked(lm, 0)
    assert "code_output_0:\n['lamp 0', 'lamp 1']" in asked(lm, 1)
    assert "code_output_1:\n6" in asked(lm, 2)


def test_sync_and_async_give_the_same_prediction_history_and_usage():
    program = CodeAct("question -> answer: int", [search, price])
    replies = [act("search('nothing')"), act("price(of=question)", finished=True), DONE]
    runs = [run(program, how, replies, question="lamp") for how in ("sync", "async")]
    (one, its_lm), (two, other_lm) = runs
    assert dict(one.items()) == dict(two.items())
    assert one.get_lm_usage() == two.get_lm_usage() != {}
    assert [entry.request for entry in its_lm.history] == [entry.request for entry in other_lm.history]


@both
def test_after_max_iters_it_answers_with_what_it_has(how):
    program = CodeAct("question -> answer", [search], max_iters=2)
    found, lm = run(program, how, [act("1"), act("2"), DONE], question="q")
    assert list(found.trajectory) == ["generated_code_0", "code_output_0", "generated_code_1", "code_output_1"]
    assert len(lm.history) == 3


def test_a_call_may_say_max_iters():
    _, lm = run(CodeAct("question -> answer", [search]), "sync", [act("1"), DONE], question="q", max_iters=1)
    assert len(lm.history) == 2


def test_an_input_may_be_called_max_iters():
    program = CodeAct("max_iters: int -> answer", [search], max_iters=1)
    found, _ = run(program, "sync", [act("max_iters"), DONE], max_iters=9)
    assert found.trajectory["code_output_0"] == "9"


@both
def test_tools_of_every_kind_are_functions_of_the_code(how):
    program = CodeAct("question -> answer", [search, price, Tool(Stock(), name="stock"), Tool(search, name="find")])
    source = "[search('a', limit=1), find('b', 1), price('lamp'), stock(of='abc')]"
    found, _ = run(program, how, [act(source, finished=True), DONE], question="q")
    assert found.trajectory["code_output_0"] == '[["a 0"], ["b 0"], 2.0, 3]'


def test_a_program_is_a_tool_of_the_code():
    class Shout(Module):
        """Say it loudly."""

        def forward(self, text: str) -> str:
            return text.upper()

    assert observed("Shout('hey')", [Shout()]) == "HEY"


def test_the_model_is_told_the_task_the_tools_and_the_sandbox():
    words = CodeAct("question -> answer", [search, price]).codeact.signature.instructions
    for part in (
        "Given `question`",
        "search: Find pages. Arguments: query (str)",
        PythonInterpreter.execution_instructions,
    ):
        assert part in words
    assert "Functions" not in CodeAct("question -> answer", []).codeact.signature.instructions


# What goes wrong


@pytest.mark.parametrize(
    ("source", "told", "errors"),
    [
        (
            "search('nothing')",
            "search: LookupError: no such page (line 1)",
            [("search", {"query": "nothing"}, "raised")],
        ),
        ("search()", "'query' is missing", [("search", {}, "arguments")]),
        ("search('a', many=2)", "'many' is unknown", [("search", {"query": "a", "many": 2}, "arguments")]),
        (
            "search('a', 'x')",
            "'limit': Input should be a valid integer",
            [("search", {"query": "a", "limit": "x"}, "arguments")],
        ),
        ("search('a', query='b')", "TypeError: 'query' is given twice; call search(query, limit)", []),
        ("search('a', 1, 2)", "TypeError: 3 arguments are given; call search(query, limit)", []),
        ("find('a')", "NameError: name 'find' is not defined", []),
        ("x = 1\nx +", "SyntaxError: Expected an expression (line 2)", []),
        ("import os", "there is no module 'os' here", []),
        ("while True: pass", "the code ran longer than 0.3 s", []),
        ("", "there is no code in the reply", []),
    ],
)
def test_what_fails_is_an_observation(source, told, errors):
    found, lm = run(
        CodeAct("question -> answer", [search], interpreter_factory=lambda: PythonInterpreter(timeout=0.3)),
        "sync",
        [act(source), act("search(question, 1)", finished=True), DONE],
        question="q",
    )
    assert list(found.trajectory) == ["generated_code_0", "observation_0", "generated_code_1", "code_output_1"]
    assert told in found.trajectory["observation_0"]
    assert told in asked(lm, 1)
    assert [(error.tool, error.args, error.kind) for error in found.get_tool_errors()] == errors
    assert found.trajectory["code_output_1"] == '["q 0"]'


@both
def test_code_can_handle_what_a_tool_raises(how):
    source = "try:\n    search('nothing')\nexcept Exception as error:\n    print('caught:', error)"
    found, _ = run(CodeAct("question -> answer", [search]), how, [act(source, finished=True), DONE], question="q")
    assert found.trajectory["code_output_0"] == "caught: search: LookupError: no such page"


@both
def test_a_tool_that_hangs_ends_at_its_time_limit(how):
    def hang() -> None:
        time.sleep(600)

    program = CodeAct("question -> answer", [Tool(hang, timeout=0.1)])
    found, _ = run(program, how, [act("hang()", finished=True), DONE], question="q")
    assert "it was not done within 0.1 s" in found.trajectory["observation_0"]


def test_a_tool_that_returns_much_is_cut_for_the_model_but_not_for_the_code():
    def big() -> str:
        return "x" * 300_000

    told = observed("text = big()\nprint(len(text))\nprint(text)", [big])
    assert told.startswith("300000\nxxx")
    assert len(told) < 101_000
    assert "characters are left out" in told


def test_what_it_submits_is_shown():
    assert observed("SUBMIT({'a': 1})", []) == '{"output": {"a": 1}}'


class Narrow(ScriptedLM):
    """Takes prompts up to a length."""

    def complete(self, request):
        if len(request.messages[-1].text) > 2_500:
            raise ContextWindowExceededError("too long")
        return super().complete(request)


@both
def test_of_a_trajectory_that_is_too_long_the_oldest_steps_are_not_shown(how):
    lm = Narrow([act("print('a' * 1500)"), act("print('b' * 1500)"), act("print('c')", finished=True), DONE])
    program = CodeAct("question -> answer", [search])
    with context(lm=lm):
        found = program(question="q") if how == "sync" else asyncio.run(program.acall(question="q"))
    assert len(found.trajectory) == 6
    assert "code_output_0" not in asked(lm, 3)
    assert "code_output_1" in asked(lm, 3)


def test_a_prompt_that_is_too_long_without_a_trajectory_is_an_error():
    with context(lm=Narrow([])), pytest.raises(ContextWindowExceededError):
        CodeAct("question -> answer", [search])(question="q" * 3_000)


def test_wrong_use_is_told():
    with pytest.raises(TypeError, match="tools must be a list"):
        CodeAct("question -> answer", {"search": search})
    with pytest.raises(ConfigurationError, match="there are two functions 'search'"):
        CodeAct("question -> answer", [search, Tool(search)])
    with pytest.raises(ConfigurationError, match="there are two functions 'SUBMIT'"):
        CodeAct("question -> answer", [Tool(search, name="SUBMIT")])
    with pytest.raises(ConfigurationError, match="code cannot call 'find pages'"):
        CodeAct("question -> answer", [Tool(search, name="find pages")])
    with pytest.raises(ConfigurationError, match="the input 'search' of"):
        CodeAct("search -> answer", [search])
    with pytest.raises(InterpreterError, match="the variable 'question' cannot be passed"):
        run(CodeAct("question -> answer", [search]), "sync", [act("1")], question=object())


@both
def test_the_interpreter_of_a_caller_is_used_with_its_own_tools_too(how):
    with PythonInterpreter(tools={"twice": lambda n: 2 * n}) as interpreter:
        program = CodeAct("question -> answer", [search])
        replies = [act("kept = [twice(4), *search(question, 1)]\nkept", finished=True), DONE]
        found, _ = run(program, how, replies, interpreter, question="q")
        assert found.trajectory["code_output_0"] == '[8, "q 0"]'
        assert interpreter.execute("kept[0]") == 8


# State and whole programs


def test_its_predictors_have_the_names_of_dspys_and_a_state(tmp_path):
    program = CodeAct("question -> answer", [search])
    program.codeact.demos = [{"question": "q", "trajectory": "", "generated_code": "1", "finished": True}]
    program.save(tmp_path / "state.json")
    again = CodeAct("question -> answer", [search])
    again.load(tmp_path / "state.json")
    assert [path for path, _ in again.named_predictors()] == ["codeact", "extractor.predict"]
    assert again.dump_state() == program.dump_state()


def test_a_whole_program_can_be_saved_with_its_tools(tmp_path):
    CodeAct("question -> answer", [search, price], max_iters=9).save(tmp_path, save_program=True)
    again = load(tmp_path, allow_import=True)
    assert (again.max_iters, [tool.func for tool in again.tools.values()]) == (9, [search, price])
    with pytest.raises(ArtifactError, match="which would be called: load with allow_import=True"):
        load(tmp_path)


@pytest.mark.parametrize("tool", [Stock(), Tool(search, desc="other words"), Tool(search, timeout=1)])
def test_a_tool_that_a_file_cannot_name_is_refused(tmp_path, tool):
    with pytest.raises(ArtifactError, match=r"the tool '\w+' cannot be stored: use a function of a module as it is"):
        CodeAct("question -> answer", [tool]).save(tmp_path, save_program=True)
    assert not list(tmp_path.iterdir())


def test_a_file_that_names_no_functions_is_refused(tmp_path):
    CodeAct("question -> answer", [search]).save(tmp_path / "it.json", save_program=True)
    text = (tmp_path / "it.json").read_text()
    (tmp_path / "it.json").write_text(text.replace(f'"{__name__}:search"', "5"))
    with pytest.raises(ArtifactError, match="is a damaged artifact"):
        load(tmp_path / "it.json", allow_import=True)
