"""ProgramOfThought: code that is written, run, mended, and answered from."""

import asyncio
import functools

import pytest

from dspex_core import (
    ArtifactError,
    ConfigurationError,
    FinalOutput,
    InterpreterError,
    ProgramOfThought,
    PythonInterpreter,
    ScriptedLM,
    SignatureError,
    context,
    load,
)

both = pytest.mark.parametrize("how", ["sync", "async"])


def ask(program, how, *args, **inputs):
    return program(*args, **inputs) if how == "sync" else asyncio.run(program.acall(*args, **inputs))


def code(text):
    return {"reasoning": "so", "generated_code": f"```python\n{text}\n```"}


def answer(value):
    return {"reasoning": "as computed", "answer": value}


def asked(lm, number):
    """What the model was asked in one of the calls."""
    return lm.history[number].request.messages[-1].text


def quick():
    return PythonInterpreter(timeout=0.3, max_output=50)


class Watched(PythonInterpreter):
    """One that tells what was done with it."""

    made = []  # noqa: RUF012  emptied by each test that reads it

    def __init__(self):
        super().__init__()
        self.done = []
        self.made.append(self)

    def start(self):
        self.done.append("start")
        super().start()

    def shutdown(self):
        self.done.append("shutdown")
        super().shutdown()


class Plain:
    """An interpreter in this process, without steps; it knows no output fields."""

    def __init__(self):
        self.tools = {}
        self.names = {}

    def start(self):
        pass

    def shutdown(self):
        self.names.clear()

    def execute(self, code, variables=None):
        self.names.update(variables or {}, SUBMIT=lambda value: self.names.update(submitted=FinalOutput(value)))
        exec(compile(code, "code", "exec"), self.names)
        return self.names.pop("submitted", None)


def run(program, how="sync", replies=(), **inputs):
    lm = ScriptedLM(replies)
    with context(lm=lm, track_usage=True):
        return ask(program, how, **inputs), lm


# A run


@both
def test_the_answer_is_read_from_what_the_code_gave(how):
    replies = [code("SUBMIT(answer=int(a) * b)"), answer("42")]
    found, lm = run(ProgramOfThought("a, b: int -> answer: int"), how, replies, a="6", b=7)
    assert dict(found.items()) == {"reasoning": "as computed", "answer": 42}
    assert '{"answer": 42}' in asked(lm, 1)
    assert len(lm.history) == 2


def test_sync_and_async_give_the_same_prediction_history_and_usage():
    replies = [code("1 / 0"), code("print(question)\nSUBMIT(answer=2)"), answer("2")]
    runs = [
        run(ProgramOfThought("question -> answer: int"), how, replies, question="1 + 1?") for how in ("sync", "async")
    ]
    (one, its_lm), (two, other_lm) = runs
    assert dict(one.items()) == dict(two.items())
    assert one.get_lm_usage() == two.get_lm_usage() != {}
    assert [entry.request for entry in its_lm.history] == [entry.request for entry in other_lm.history]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("print('a')\n1 + 1", "a\n2"),
        ("x = 1\nanswer: int = x + 4", "5"),
        ("answer = max(\n  [1, 2]\n)", ""),
        ("def f(\n    a,\nb=1):\n    return a + b\nx = f(\n1,\nb=2)", ""),
        ("a = 1\na == 1", "true"),
        ("x = {'k': [1, 'é']}", '{"k": [1, "é"]}'),
        ("print('p')\nSUBMIT(9)", 'p\n{"answer": 9}'),
        ("SUBMIT({'answer': 9})", '{"answer": 9}'),
        ("SUBMIT(answer='9')", '{"answer": 9}'),
        ("print('x' * 200_000)", "[cut: 100000 of 200000 characters are left out]"),
    ],
)
def test_code_gives_what_it_printed_and_its_last_value(source, shown):
    _, lm = run(ProgramOfThought("question -> answer: int"), replies=[code(source), answer("1")], question="q")
    output = asked(lm, 1).split("[[ ## code_output ## ]]\n")[1].split("\n\nAnswer with")[0]
    assert output.endswith(shown)
    assert bool(output) == bool(shown)


@pytest.mark.parametrize("call", ["SUBMIT(1, 'x')", "SUBMIT(b='x', a=1)", "SUBMIT({'a': 1, 'b': 'x'})"])
def test_several_outputs_are_submitted_in_any_way(call):
    _, lm = run(ProgramOfThought("q -> a: int, b"), replies=[code(call), {"reasoning": "r", "a": "1", "b": "x"}], q="")
    assert '"a": 1' in asked(lm, 1)
    assert '"b": "x"' in asked(lm, 1)


def test_the_model_is_told_the_task_the_outputs_and_the_sandbox():
    factory = functools.partial(PythonInterpreter, timeout=1)
    program = ProgramOfThought("question -> answer: int", interpreter_factory=factory)
    program.code_generate.predict.signature.instructions.index("SUBMIT(answer=...)")
    for part in ("Given `question`, produce `answer`.", "- answer (int)", PythonInterpreter.execution_instructions):
        assert part in program.code_generate.predict.signature.instructions
        assert part in program.code_regenerate.predict.signature.instructions


# Code that fails


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = 1\nx +", "SyntaxError: Expected an expression (line 2)"),
        (
            "print('so far')\n1 / 0",
            "ZeroDivisionError: division by zero (line 2)\nBefore that, the code printed:\nso far",
        ),
        ("while True:\n  pass", "the code ran longer than 0.3 s (timeout)"),
        ("def f(): return f()\nf()", "(max_recursion_depth)"),
        ("'x' * 60", "the value of the last expression cannot be returned: it is too large"),
        ("import os", "there is no module 'os' here"),
        ("SUBMIT(answer='many')", "what was submitted does not fit: answer: Input should be a valid integer"),
        ("SUBMIT()", "missing a required argument: 'answer'"),
        ("", "there is no code in the reply"),
    ],
)
@both
def test_what_is_wrong_with_the_code_is_told_and_it_is_written_anew(how, source, told):
    program = ProgramOfThought("question -> answer: int", interpreter_factory=quick)
    replies = [code(source), code("SUBMIT(len(question))"), answer("3")]
    found, lm = run(program, how, replies, question="abc")
    assert found.answer == 3
    assert told in asked(lm, 1)
    assert source in asked(lm, 1)
    assert '{"answer": 3}' in asked(lm, 2)


def test_inputs_are_set_once_so_that_code_may_change_them():
    replies = [code("question = 'new'\n1 / 0"), code("question"), answer("1")]
    _, lm = run(ProgramOfThought("question -> answer"), replies=replies, question="old")
    assert asked(lm, 2).count("new") == 1


@pytest.mark.parametrize("kind", ["syntax", "exception", "limit"])
def test_after_the_last_attempt_the_error_is_raised(kind):
    source = {"syntax": "x +", "exception": "print('p')\n1 / 0", "limit": "while True: pass"}[kind]
    program = ProgramOfThought("question -> answer", max_iters=2, interpreter_factory=quick)
    with pytest.raises(RuntimeError, match=r"none of 2 pieces of code .* did its work \(max_iters\)") as caught:
        run(program, replies=[code("1 / 0"), code(source)], question="q")
    error = caught.value
    assert isinstance(error, InterpreterError)
    assert error.kind == kind
    assert error.__cause__.message in error.message
    assert (error.exception, error.line, error.printed) == (
        error.__cause__.exception,
        error.__cause__.line,
        error.__cause__.printed,
    )


# Interpreters


@pytest.fixture
def made():
    Watched.made = []
    return Watched.made


@both
def test_each_run_has_an_interpreter_of_its_own_that_ends_with_it(made, how):
    program = ProgramOfThought("question -> answer", interpreter_factory=Watched)
    for _ in range(2):
        run(program, how, [code("1"), answer("1")], question="q")
    assert [interpreter.done for interpreter in made] == [["start", "shutdown"]] * 2


def test_it_ends_when_the_run_fails(made):
    program = ProgramOfThought("question -> answer", max_iters=1, interpreter_factory=Watched)
    with pytest.raises(InterpreterError):
        run(program, replies=[code("1 / 0")], question="q")
    assert made[0].done[-1] == "shutdown"


def test_it_ends_when_the_run_is_cancelled_in_the_middle_of_its_code(made):
    program = ProgramOfThought("question -> answer", interpreter_factory=Watched)

    async def late():
        with context(lm=ScriptedLM([code("while True: pass")])):
            await asyncio.wait_for(program.acall(question="q"), 0.5)

    with pytest.raises(TimeoutError):
        asyncio.run(late())
    assert made[0].done[-1] == "shutdown"


@both
def test_the_interpreter_of_a_caller_is_used_and_left_to_the_caller(how):
    program = ProgramOfThought("question -> answer")
    with Watched() as interpreter, context(lm=ScriptedLM([code("kept = question"), answer("1")])):
        ask(program, how, interpreter, question="q")
        assert interpreter.done == ["start"]
        assert interpreter.execute("kept") == "q"


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("SUBMIT(len(question))", '{"answer": 1}'),
        ("SUBMIT({'answer': 5})", '{"answer": 5}'),
        ("SUBMIT({'output': {'answer': 5}})", '{"answer": 5}'),
        ("SUBMIT({'output': 5})", '{"answer": 5}'),
        ("x +", "invalid syntax"),
        ("SUBMIT({'other': 5, 'more': 6})", "answer: Input should be a valid integer"),
    ],
)
def test_a_custom_interpreter_needs_no_steps(source, told):
    replies = [code(source), *([code("SUBMIT(1)")] if "{" not in told else []), answer("1")]
    _, lm = run(ProgramOfThought("question -> answer: int", interpreter_factory=Plain), replies=replies, question="q")
    assert told in asked(lm, 1)


def test_a_custom_interpreter_that_submits_only_some_outputs_is_told_so():
    program = ProgramOfThought("q -> a: int, b", interpreter_factory=Plain)
    replies = [code("SUBMIT({'a': 1})"), code("SUBMIT(2)"), code("SUBMIT({'a': 1, 'b': 'x'})")]
    _, lm = run(program, replies=[*replies, {"reasoning": "r", "a": "1", "b": "x"}], q="")
    assert "Missing: b." in asked(lm, 1)
    assert "Missing: a, b." in asked(lm, 2)


class Broken(Plain):
    def start(self):
        raise InterpreterError("it is not installed", kind="crash")


def test_an_interpreter_that_does_not_start_is_an_error_and_not_the_models():
    program = ProgramOfThought("question -> answer", interpreter_factory=Broken)
    with pytest.raises(InterpreterError, match=r"^it is not installed$"):
        run(program, replies=[code("1")], question="q")


class Odd(Plain):
    execution_instructions = 5


# Wrong use


def test_wrong_use_is_told():
    program = ProgramOfThought("question -> answer")
    with pytest.raises(SignatureError, match="needs the input 'question'; it got: other"):
        program(other=1)
    with pytest.raises(SignatureError, match="it got: none by name"):
        program("q")
    with pytest.raises(TypeError, match="as the first positional argument, not by name"):
        program(question="q", interpreter=PythonInterpreter())
    with pytest.raises(TypeError, match="first positional argument is 'q', which is not a CodeInterpreter"):
        program("q", question="q")
    with pytest.raises(TypeError, match="interpreter_factory made None"):
        ProgramOfThought("question -> answer", interpreter_factory=lambda: None)(question="q")
    with pytest.raises(TypeError, match="an interpreter itself is given in the call"):
        ProgramOfThought("question -> answer", interpreter_factory=PythonInterpreter())
    with pytest.raises(TypeError, match=r"execution_instructions of .* must be a text, not 5"):
        ProgramOfThought("question -> answer", interpreter_factory=Odd)
    with pytest.raises(ConfigurationError, match="max_iters must be at least 1, not 0"):
        ProgramOfThought("question -> answer", max_iters=0)
    with pytest.raises(ConfigurationError, match=r"the input 'print' of .* has the name of a function"):
        ProgramOfThought("print -> answer")


def test_an_input_that_code_cannot_have_is_the_callers_error():
    with pytest.raises(InterpreterError, match="the variable 'question' cannot be passed") as caught:
        run(ProgramOfThought("question -> answer"), replies=[code("1")], question=object())
    assert caught.value.kind == "usage"


def test_an_input_that_is_called_interpreter_is_given_by_name():
    replies = [code("SUBMIT(interpreter)"), answer("x")]
    assert run(ProgramOfThought("interpreter -> answer"), replies=replies, interpreter="CPython")[0].answer == "x"


# State and whole programs


def test_its_state_can_be_saved_and_loaded(tmp_path):
    program = ProgramOfThought("question -> answer: int")
    program.code_generate.predict.demos = [{"question": "1 + 1", "reasoning": "r", "generated_code": "SUBMIT(2)"}]
    program.save(tmp_path / "state.json")
    again = ProgramOfThought("question -> answer: int")
    again.load(tmp_path / "state.json")
    names = [path for path, _ in again.named_predictors()]
    assert names == ["code_generate.predict", "code_regenerate.predict", "generate_output.predict"]
    assert str(again.code_generate.predict.demos[0]["generated_code"]) == "SUBMIT(2)"


def test_a_whole_program_can_be_saved_and_loaded(tmp_path):
    program = ProgramOfThought("question -> answer: int", max_iters=7)
    program.code_generate.predict.demos = [{"question": "1 + 1", "reasoning": "r", "generated_code": "SUBMIT(2)"}]
    program.save(tmp_path, save_program=True)
    again = load(tmp_path)
    assert (again.max_iters, again.signature.signature) == (7, "question -> answer")
    assert again.dump_state() == program.dump_state()


def test_a_factory_is_stored_by_its_name_or_not_at_all(tmp_path):
    ProgramOfThought("question -> answer", interpreter_factory=quick).save(tmp_path, save_program=True)
    assert load(tmp_path, allow_import=True).interpreter_factory is quick
    for factory in (Watched, functools.partial(PythonInterpreter, timeout=1)):
        with pytest.raises(ArtifactError, match=r"interpreter_factory=.* cannot be stored: use a function of a module"):
            ProgramOfThought("question -> answer", interpreter_factory=factory).save(tmp_path, save_program=True)
