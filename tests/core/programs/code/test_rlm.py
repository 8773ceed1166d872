"""RLM: exploring long inputs by code that may ask language models."""

import asyncio
import logging
import threading
from typing import Literal

import pydantic
import pytest

from dspex_core import (
    RLM,
    ArtifactError,
    BaseLM,
    Budget,
    BudgetExceededError,
    ConfigurationError,
    InputField,
    InterpreterError,
    LMNotConfiguredError,
    LMOutput,
    LMResponse,
    LMServerError,
    Message,
    OutputField,
    PythonInterpreter,
    ScriptedLM,
    Signature,
    SignatureError,
    context,
    load,
)
from dspex_core.tools import Tool

both = pytest.mark.parametrize("how", ["sync", "async"])
QA = "context, query -> answer"


class Answer(pydantic.BaseModel):
    name: str
    year: int | None = None


def look_up(word: str) -> str:
    """Say what a word means."""
    return f"a {word}"


def act(text, reasoning="so"):
    return {"reasoning": reasoning, "code": f"```python\n{text}\n```"}


def echo(request):
    """A sub-LM: it answers with the prompt in upper case."""
    asked = request.messages[-1].text
    return LMServerError("it is down") if "broken" in asked else asked.upper()


def run(program, how="sync", replies=(), *args, sub=echo, **inputs):
    lm = ScriptedLM(replies)
    program.sub_lm = ScriptedLM(echo, model="sub") if sub is echo else sub
    with context(lm=lm, track_usage=True):
        found = program(*args, **inputs) if how == "sync" else asyncio.run(program.acall(*args, **inputs))
    return found, lm


def asked(lm, number):
    return lm.history[number].request.messages[-1].text


def told(source, **options):
    """What the model is told of a piece of code; the next one ends the session."""
    found, lm = run(RLM(QA, **options), "sync", [act(source), act("SUBMIT('done')")], context="text", query="q")
    output = found.trajectory[0]["output"]
    assert output in asked(lm, 1)
    return output


# A run


@both
def test_it_explores_by_code_until_it_submits(how):
    replies = [
        act("print(len(context))", "look"),
        act("x = llm_query(context[:4])\nx"),
        act("SUBMIT(answer=x)", "done"),
    ]
    found, lm = run(RLM(QA), how, replies, context="long " * 1000, query="which?")
    assert dict(found.items()) == {
        "answer": "LONG",
        "trajectory": [
            {"reasoning": "look", "code": "print(len(context))", "output": "5000"},
            {"reasoning": "so", "code": "x = llm_query(context[:4])\nx", "output": "LONG"},
            {"reasoning": "done", "code": "SUBMIT(answer=x)", "output": "FINAL: {'answer': 'LONG'}"},
        ],
        "final_reasoning": "done",
    }
    assert len(lm.history) == 3
    assert "1/20" in asked(lm, 0)
    assert "print(len(context))" in asked(lm, 1)
    assert "Output (4 characters):\n5000" in asked(lm, 1)


def test_sync_and_async_give_the_same_prediction_history_and_usage():
    replies = [act("llm_query_batched(['a', 'b', 'broken'])"), act("look_up(word='x')"), act("1 / 0"), act("SUBMIT(5)")]
    results = []
    for how in ("sync", "async"):
        program = RLM("context, query -> answer: int", tools=[look_up])
        found, lm = run(program, how, replies, context="text", query="q")
        calls = sorted((entry.model, str(entry.request)) for entry in program.history)
        results.append((dict(found.items()), found.get_lm_usage(), calls, [entry.request for entry in lm.history]))
    assert results[0] == results[1]
    assert results[0][1].keys() == {"scripted", "sub"}
    assert len(results[0][2]) == 4 + 2  # a call that failed is in no history


@both
def test_outputs_are_of_their_types(how):
    signature = "context -> people: list[Answer], mood: Literal['good', 'bad'], n: int"
    program = RLM(Signature(signature, types={"Answer": Answer, "Literal": Literal}))
    source = "SUBMIT(people=[{'name': 'Ada', 'year': '1815'}], mood='Good', n='3')"
    found, _ = run(program, how, [act(source)], context="x")
    assert (found.people, found.mood, found.n) == ([Answer(name="Ada", year=1815)], "good", 3)


def test_outputs_may_be_submitted_as_one_dict():
    found, _ = run(RLM("context -> a: int, b"), "sync", [act("SUBMIT({'a': 1, 'b': 'x'})")], context="x")
    assert (found.a, found.b) == (1, "x")


@both
def test_when_the_steps_run_out_the_outputs_are_read_from_what_was_found(how, caplog):
    replies = [act("found = 'Ada'\nprint(found)"), act("1 / 0"), {"answer": "3"}]
    program = RLM("context, query -> answer: int", max_iters=2)
    found, lm = run(program, how, replies, context="x", query="q")
    assert found.answer == 3
    assert [step["code"] for step in found.trajectory] == ["found = 'Ada'\nprint(found)", "1 / 0"]
    assert "ran out" in found.final_reasoning
    assert "ZeroDivisionError" in asked(lm, 2)
    assert "RLM has used all its 2 steps" in caplog.text


def test_the_model_is_told_the_task_the_functions_and_the_sandbox():
    class Find(Signature):
        """Find the culprit."""

        book: str = InputField()
        name: str = OutputField(desc="the family name")
        page: int = OutputField(ge=1)

    words = RLM(Find, max_llm_calls=7, tools=[look_up]).generate_action.signature.instructions
    for part in (
        "Find the culprit.",
        "look_up: Say what a word means. Arguments: word (str)",
        "at most 7 prompts",
        "SUBMIT(name=..., page=...)",
        "- name (str): the family name\n- page (int, at least 1)",
        PythonInterpreter.execution_instructions,
    ):
        assert part in words


def test_variables_are_described_and_not_shown():
    class Find(Signature):
        book: str = InputField(desc="a novel", max_length=90_000)
        rows: list[dict[str, int]] = InputField()
        name: str = OutputField()

    book = "begin" + "x" * 50_000 + "end"
    _, lm = run(RLM(Find), "sync", [act("SUBMIT(book[:5])")], book=book, rows=[{"n": 1}])
    shown = asked(lm, 0)
    assert "`book` (str)\nMeaning: a novel\nLimits: max_length=90000\nLength: 50,008 characters" in shown
    assert "    beginxxx" in shown
    assert "[... 49,008 characters are left out ...]" in shown
    assert "xxxend" in shown
    assert "`rows` (list)" in shown
    assert '"n": 1' in shown
    assert len(shown) < 3_000


def test_the_output_of_a_step_is_shown_up_to_a_length_and_kept_whole():
    replies = [act("print('a' * 500 + 'b' * 500)"), act("SUBMIT('x')")]
    found, lm = run(RLM(QA, max_output_chars=20), "sync", replies, context="x", query="q")
    assert found.trajectory[0]["output"] == "a" * 500 + "b" * 500
    cut = "aaaaaaaaaa\n[... 980 characters are left out ...]\nbbbbbbbbbb"
    assert f"Output (1,000 characters):\n{cut}" in asked(lm, 1)


def test_what_the_code_defines_stays_and_inputs_may_be_changed():
    replies = [act("context = context.split()\nfirst = context[0]\n1 / 0"), act("SUBMIT(context[1] + first)")]
    assert run(RLM(QA), "sync", replies, context="a b", query="q")[0].answer == "ba"


def test_nothing_is_logged_of_a_step_unless_it_is_verbose(caplog):
    caplog.set_level(logging.INFO)
    run(RLM(QA), "sync", [act("SUBMIT('x')")], context="x", query="q")
    assert not caplog.records
    run(RLM(QA, verbose=True), "sync", [act("SUBMIT('x')", "sure")], context="x", query="q")
    assert [(record.name, record.levelname) for record in caplog.records] == [("dspex", "INFO")]
    assert caplog.records[0].message == "RLM step 1 of 20\nsure\nSUBMIT('x')\nFINAL: {'answer': 'x'}"


# Sub-LM calls


@both
def test_many_prompts_are_asked_at_the_same_time_and_answered_in_order(how):
    meeting = threading.Barrier(4, timeout=10)

    class Meeting(ScriptedLM):
        async def acomplete(self, request):
            return await asyncio.to_thread(self.complete, request)

        def complete(self, request):
            meeting.wait()
            return super().complete(request)

    program = RLM(QA, sub_lm=Meeting(echo))
    replies = [act("SUBMIT(','.join(llm_query_batched(['a', 'b', 'broken', 'd'])))")]
    with context(lm=ScriptedLM(replies)):
        inputs = {"context": "x", "query": "q"}
        found = program(**inputs) if how == "sync" else asyncio.run(program.acall(**inputs))
    assert found.answer == "A,B,[ERROR] it is down,D"


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("llm_query(prompt='a')", "A"),
        ("llm_query_batched([])", "[]"),
        ("llm_query_batched(prompts=['a', 'b'])", '["A", "B"]'),
        ("llm_query('broken')", "[Error] Exception: it is down (line 1)"),
        ("llm_query('')", "[Error] ValueError: a prompt is a text that is not empty, not '' (line 1)"),
        ("llm_query_batched(['a', 5])", "[Error] ValueError: a prompt is a text that is not empty, not 5 (line 1)"),
        ("llm_query_batched('ab')", "[Error] TypeError: llm_query_batched takes a list of texts, not str (line 1)"),
        ("look_up('word')", "a word"),
        ("x = 1", "(no output: print what you want to see)"),
        ("None", "(no output: print what you want to see)"),
        ("print('a')\n[1]", "a\n[1]"),
    ],
)
def test_the_functions_of_the_code(source, output):
    assert told(source, tools=[look_up]) == output


def test_calls_of_tools_that_failed_are_in_the_prediction():
    replies = [act("look_up()"), act("SUBMIT('x')")]
    found, _ = run(RLM(QA, tools=[look_up]), "sync", replies, context="", query="q")
    assert [(error.tool, error.kind) for error in found.get_tool_errors()] == [("look_up", "arguments")]


def test_the_limit_on_sub_lm_calls_holds_for_one_run():
    source = (
        "got = [llm_query('a'), llm_query('b')]\ntry:\n  llm_query('c')\nexcept RuntimeError as error:\n  print(error)"
    )
    program = RLM(QA, max_llm_calls=2)
    for _ in range(2):
        found, _ = run(program, "sync", [act(source), act("llm_query_batched([])\nSUBMIT(got)")], context="", query="q")
        assert "of 2 sub-LM calls, 0 are left" in found.trajectory[0]["output"]
        assert found.answer == '["A", "B"]'
        assert len(program.sub_lm.history) == 2


def test_prompts_that_are_too_many_together_are_not_asked_at_all():
    program = RLM(QA, max_llm_calls=3)
    replies = [act("llm_query_batched(['a'] * 4)"), act("SUBMIT(llm_query('b'))")]
    found, _ = run(program, "sync", replies, context="", query="q")
    assert "4 prompts are too many: of 3 sub-LM calls, 3 are left" in found.trajectory[0]["output"]
    assert len(program.sub_lm.history) == 1


def test_without_a_sub_lm_the_one_of_the_settings_is_asked_or_else_the_predictors():
    replies = [act("SUBMIT(llm_query('a'))"), "from the settings"]
    assert run(RLM(QA), "sync", replies, sub=None, context="", query="q")[0].answer == "from the settings"
    program = RLM(QA)
    program.set_lm(ScriptedLM([act("SUBMIT(llm_query('a'))"), "from its own"]))
    assert program(context="", query="q").answer == "from its own"
    with pytest.raises(LMNotConfiguredError):
        RLM(QA, sub_lm=ScriptedLM(echo))(context="", query="q")


def test_sub_lm_calls_are_within_the_budget():
    replies = [act("print(llm_query('a'))\nllm_query('b')"), act("SUBMIT('x')")]
    with context(budget=Budget(calls=2)), pytest.raises(BudgetExceededError):
        run(RLM(QA), "sync", replies, context="", query="q")


class Upper(BaseLM):
    """A model whose calls can be recorded."""

    def complete(self, request):
        return LMResponse((LMOutput(request.messages[-1].text.upper()),), model=self.model)


class Cassette:
    """A recorder in memory."""

    def __init__(self, *, missing=None):
        self.kept = {}
        self.missing = missing

    def replay(self, model, request):
        if self.missing is not None:
            raise self.missing
        return self.kept.get((model, request.messages))

    def record(self, model, request, response):
        self.kept[model, request.messages] = response


class NotRecorded(BaseException):
    """As pytest's own failures are."""


@both
def test_sub_lm_calls_go_through_the_cassette(how):
    cassette = Cassette()
    with context(recorder=cassette):
        run(RLM(QA), how, [act("SUBMIT(llm_query('a'))")], sub=Upper("upper"), context="", query="q")
        cassette.kept["upper", (Message("user", "a"),)] = LMResponse((LMOutput("replayed"),), model="upper")
        found, _ = run(RLM(QA), how, [act("SUBMIT(llm_query('a'))")], sub=Upper("upper"), context="", query="q")
    assert len(cassette.kept) == 1
    assert found.answer == "replayed"


@pytest.mark.parametrize("call", ["llm_query('a')", "llm_query_batched(['a', 'b'])"])
@both
def test_no_code_can_swallow_that_a_call_is_in_no_cassette(how, call):
    source = f"try:\n    {call}\nexcept Exception:\n    SUBMIT('x')"
    with context(recorder=Cassette(missing=NotRecorded())), pytest.raises(NotRecorded):
        run(RLM(QA), how, [act(source)], sub=Upper("upper"), context="", query="q")


# What goes wrong


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("x = 1\nx +", "SyntaxError: Expected an expression (line 2)"),
        ("print('p')\n1 / 0", "ZeroDivisionError: division by zero (line 2)\nBefore that, the code printed:\np"),
        ("while True: pass", "the code ran longer than 0.3 s"),
        ("x = [0]\nwhile True: x += x", "bytes of memory"),
        ("import os", "there is no module 'os' here"),
        ("SUBMIT(answer=[1], more=2)", "TypeError: call SUBMIT(answer)"),
        ("SUBMIT(None)", "what was submitted does not fit: answer: null where text was expected"),
        ("  ", "there is no code in the reply"),
    ],
)
def test_what_is_wrong_with_the_code_is_the_output_of_its_step(source, output):
    found = told(source, interpreter_factory=lambda: PythonInterpreter(timeout=0.3, max_memory=2**24))
    assert found.startswith("[Error] ")
    assert output in found


def test_after_a_hung_loop_the_inputs_are_there_again():
    program = RLM(QA, interpreter_factory=lambda: PythonInterpreter(timeout=0.2))
    replies = [act("x = 1\nwhile True: pass"), act("x"), act("SUBMIT(context)")]
    found, _ = run(program, "sync", replies, context="still here", query="q")
    assert found.answer == "still here"
    assert "all variables are lost" in found.trajectory[0]["output"]
    assert "name 'x' is not defined" in found.trajectory[1]["output"]


@both
def test_the_interpreter_of_a_caller_is_used_and_left_to_the_caller(how):
    with PythonInterpreter() as interpreter:
        run(RLM(QA), how, [act("kept = context\nSUBMIT('x')")], interpreter, context="c", query="q")
        assert interpreter.execute("kept") == "c"
        with pytest.raises(InterpreterError, match="'llm_query' is not defined"):
            interpreter.execute("llm_query('a')")


class Threaded:
    """An interpreter without steps, whose code is a function of this process."""

    def __init__(self):
        self.tools = {}

    def start(self):
        pass

    def shutdown(self):
        pass

    def execute(self, code, variables=None):
        made = []
        exec(compile(code, "code", "exec"), {**(variables or {}), **self.tools, "give": made.append})
        return made[0]


@both
def test_a_custom_interpreter_calls_the_functions_too(how):
    program = RLM(QA, tools=[look_up], interpreter_factory=Threaded, max_iters=1)
    source = "give(llm_query_batched([context, look_up('word')]))"
    found, _ = run(program, how, [act(source), {"answer": "x"}], context="text", query="q")
    assert found.trajectory[0]["output"] == '["TEXT", "A WORD"]'


def test_wrong_use_is_told():
    with pytest.raises(SignatureError, match="needs the input 'query'"):
        RLM(QA)(context="x")
    with pytest.raises(SignatureError, match="has no input 'more'"):
        RLM(QA)(context="x", query="q", more=1)
    with pytest.raises(ConfigurationError, match="has the output 'trajectory', which an RLM adds itself"):
        RLM("context -> trajectory")
    with pytest.raises(ConfigurationError, match="the input 'llm_query' of"):
        RLM("llm_query -> answer")
    with pytest.raises(ConfigurationError, match="there are two functions 'llm_query_batched'"):
        RLM(QA, tools=[Tool(look_up, name="llm_query_batched")])
    with pytest.raises(InterpreterError, match="the variable 'context' cannot be passed"):
        run(RLM(QA), "sync", [act("1")], context=object(), query="q")


# State and whole programs


def test_its_predictors_have_the_names_of_dspys_and_a_state(tmp_path):
    program = RLM(QA)
    program.generate_action.demos = [
        {"variables_info": "v", "repl_history": "", "iteration": "1/2", "reasoning": "r", "code": "SUBMIT(2)"}
    ]
    program.save(tmp_path / "state.json")
    again = RLM(QA)
    again.load(tmp_path / "state.json")
    assert [path for path, _ in again.named_predictors()] == ["generate_action", "extract"]
    assert again.dump_state() == program.dump_state()


def test_a_whole_program_can_be_saved_without_its_lm(tmp_path):
    options = {"max_iters": 3, "max_llm_calls": 4, "max_output_chars": 5, "verbose": True}
    RLM(QA, **options, tools=[look_up], sub_lm=ScriptedLM(echo)).save(tmp_path / "a", save_program=True)
    again = load(tmp_path / "a", allow_import=True)
    assert {name: vars(again)[name] for name in options} == options
    assert [tool.func for tool in again.tools.values()] == [look_up]
    assert again.sub_lm is None
    RLM(QA).save(tmp_path / "b", save_program=True)
    assert load(tmp_path / "b").tools == {}


def test_a_tool_that_a_file_cannot_name_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="the tool 'meaning' cannot be stored"):
        RLM(QA, tools=[Tool(look_up, name="meaning")]).save(tmp_path, save_program=True)
