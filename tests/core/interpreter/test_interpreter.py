"""The sandbox: what code may do in it, how it is stopped, and how a flow waits for it."""

import asyncio
import dataclasses
import datetime as dt
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dspex_core
from dspex_core.config import context
from dspex_core.errors import DSPexError, InterpreterError
from dspex_core.flow.steps import Call, Sleep, adrive, drive
from dspex_core.interpreter import CodeInterpreter, FinalOutput, PythonInterpreter, SteppedInterpreter, run_code

MIB = 2**20


@pytest.fixture
def interpreter():
    with PythonInterpreter(timeout=5, max_memory=32 * MIB) as made:
        yield made


def failure(interpreter, code, variables=None):
    with pytest.raises(InterpreterError) as caught:
        interpreter.execute(code, variables)
    return caught.value


def worker_of(interpreter):
    """The process that serves it, which has no public name."""
    interpreter.start()
    return interpreter._sandbox._process


def is_alive(process):
    stat = Path(f"/proc/{process}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] not in "ZX"


def wait_for_end(process):
    end = time.monotonic() + 60
    while is_alive(process) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_alive(process)


# What an execution gives


@pytest.mark.parametrize(
    ("code", "result"),
    [
        ("1 + 1", 2),
        ("print('a', 1)\nprint('b')", "a 1\nb\n"),
        ("print('a')\n[1, 'x', None, 2.5, True]", [1, "x", None, 2.5, True]),
        ("x = 5", ""),
        ("", ""),
        ("{1: {'k': (1, 2)}}", {1: {"k": [1, 2]}}),
        ("{3, 1, 2}", [1, 2, 3]),
        ("{1, 'a'} == {'a', 1}", True),
        ("{(1, 2): 'pair'}", {"(1, 2)": "pair"}),
        ("from datetime import date\ndate(2026, 1, 2)", "2026-01-02"),
        ("b'\\xff'", "b'\\xff'"),
        ("class Point:\n    def __init__(self):\n        self.x = 1\nPoint()", {"x": 1}),
        ("import asyncio\nasync def two():\n    await asyncio.sleep(60)\n    return 2\nawait two()", 2),
    ],
)
def test_an_execution_gives_the_last_value_or_else_what_was_printed(interpreter, code, result):
    assert interpreter.execute(code) == result
    assert interpreter(code) == result


def test_a_value_that_json_has_no_form_for_comes_as_its_text(interpreter):
    assert "lambda" in interpreter.execute("lambda: 1")


def test_nothing_that_the_code_prints_reaches_the_process_itself(interpreter, capfd):
    code = "import sys\nprint('to stdout')\nprint('to stderr', file=sys.stderr)"
    assert interpreter.execute(code) == "to stdout\nto stderr\n"
    assert capfd.readouterr() == ("", "")


def test_what_one_execution_defines_the_next_one_can_use(interpreter):
    interpreter.execute("def double(n):\n    return 2 * n\nseen = [1]")
    interpreter.execute("seen.append(double(4))")
    assert interpreter.execute("seen") == [1, 8]


def test_a_failure_of_the_code_leaves_what_it_had_defined(interpreter):
    interpreter.execute("x = 5")
    assert not failure(interpreter, "y = 6\n1 / 0").state_lost
    assert interpreter.execute("x + y") == 11


def test_code_of_the_type_code_is_run(interpreter):
    from dspex_core.types import Code

    assert interpreter.execute(Code["python"]("Here it is:\n```python\n6 * 7\n```")) == 42


def test_printed_text_beyond_the_limit_is_cut_and_said_to_be():
    with PythonInterpreter(max_output=10) as interpreter:
        assert interpreter.execute("print('abcdefgh' * 2)") == "abcdefghab\n[cut: 7 characters are left out]"
        assert interpreter.execute("print('abc')") == "abc\n"


# Values


@dataclasses.dataclass
class Person:
    name: str
    born: dt.date


class Order(pydantic.BaseModel):
    number: int
    items: tuple[str, ...] = ()


class Label(str):
    __slots__ = ()


def test_variables_go_in_as_json_like_data(interpreter):
    variables = {
        "person": Person("Ada", dt.date(1815, 12, 10)),
        "order": Order(number=3, items=("pen",)),
        "label": Label("red"),
        "scores": {1: (0.5, float("inf"))},
        "tags": {"b", "a"},
        "mixed": {1, "a"},
    }
    code = "[person['born'], order['items'], label, scores[1], tags, len(mixed)]"
    assert interpreter.execute(code, variables) == [
        "1815-12-10",
        ["pen"],
        "red",
        [0.5, float("inf")],
        ["a", "b"],
        2,
    ]


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_json_like_data_comes_back_as_it_went_in(interpreter):
    @given(JSON_LIKE)
    def check(value):
        assert drive(interpreter.steps("value", {"value": value})).value == value

    check()


CYCLE: list = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "object"),
        ([{"deep": threading.Lock()}], "lock"),
        (CYCLE, "nested in itself"),
        (10**5000, "too long to write"),
        (b"\xff", "utf-8"),
        ({"\ud800": 1}, "surrogate"),
    ],
    ids=["object", "lock", "cycle", "integer", "bytes", "surrogate"],  # pytest writes the integer out for want of them
)
def test_a_variable_that_cannot_be_passed_is_named(interpreter, value, reason):
    error = failure(interpreter, "1", {"fine": 1, "corpus": value})
    assert (error.kind, error.state_lost) == ("usage", False)
    assert "'corpus'" in str(error)
    assert reason in str(error)


@pytest.mark.parametrize("name", ["not a name", "class", "2nd", ""])
def test_a_variable_needs_the_name_of_a_variable(interpreter, name):
    error = failure(interpreter, "1", {name: 1})
    assert (error.kind, repr(name) in str(error)) == ("usage", True)


@pytest.mark.parametrize("name", ["SUBMIT", "search"])
def test_a_variable_cannot_hide_a_tool(name):
    with PythonInterpreter(tools={"search": len}) as interpreter:
        error = failure(interpreter, "1", {name: 1})
        assert (error.kind, repr(name) in str(error)) == ("usage", True)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("'abc' * 400_000", "too large"),
        ("list(range(1_100_000))", "too large"),
        ("2 ** 50_000", "too long to write"),
        ("x = []\nfor _ in range(1000):\n    x = [x]\nx", "deeper than 100"),
    ],
)
def test_a_value_that_is_too_much_to_return_is_a_limit_and_the_session_goes_on(code, reason):
    with PythonInterpreter() as interpreter:
        interpreter.execute("kept = 1")
        error = failure(interpreter, f"print('before')\n{code}")
        assert (error.kind, error.limit, error.printed, error.state_lost) == ("limit", "output", "before\n", False)
        assert reason in str(error)
        assert interpreter.execute("kept") == 1


# What code may not do


@pytest.mark.parametrize(
    ("code", "exception"),
    [
        ("open('/etc/passwd').read()", "PermissionError"),
        ("with open('new.txt', 'w') as file:\n    file.write('x')", "PermissionError"),
        ("from pathlib import Path\nPath('/etc/passwd').read_text()", "PermissionError"),
        ("exec('import os\\nos.listdir(\"/\")')", "PermissionError"),
        ("exec('import os\\nos.environ')", "RuntimeError"),
        ("import socket", "ModuleNotFoundError"),
        ("import urllib.request", "ModuleNotFoundError"),
        ("import subprocess", "ModuleNotFoundError"),
        ("import ctypes", "ModuleNotFoundError"),
        ("__import__('os')", "NameError"),
        ("input()", "NameError"),
        ("import os", "ImportError"),
        ("import json, os as o", "ImportError"),
        ("from os import path", "ImportError"),
        ("import os.path", "ImportError"),
        ("if True:\n    import \\\n  os", "ImportError"),
    ],
)
def test_files_network_processes_and_os_are_out_of_reach(interpreter, code, exception):
    error = failure(interpreter, code)
    assert (error.kind, error.exception, error.state_lost) == ("exception", exception, False)
    assert interpreter.execute("1 + 1") == 2


@pytest.mark.parametrize(
    "code", ["'import os'", "x = 1  # import os", "os = 3\nos", "'''\nimport os\n'''", "[from_os]"]
)
def test_code_that_only_speaks_of_os_runs(interpreter, code):
    assert interpreter.execute(code, {"from_os": 1}) is not None


def test_code_that_imports_os_and_does_not_parse_is_a_syntax_error(interpreter):
    assert failure(interpreter, "x = (\nimport os").kind == "syntax"
    assert failure(interpreter, "x = '''\nimport os").kind == "syntax"


ENDLESS = ["while True:\n    pass", "while True:\n    try:\n        while True: pass\n    except BaseException: pass"]


@pytest.mark.parametrize(
    "code", [*ENDLESS, "import time\nwhile True:\n    time.sleep(10)", "while True:\n    print(1)"]
)
def test_endless_code_is_stopped(code):
    with PythonInterpreter(timeout=0.2, max_output=3) as interpreter:
        interpreter.execute("x = 1")
        error = failure(interpreter, code)
        assert (error.kind, error.limit, error.state_lost) == ("limit", "time", True)
        assert "0.2 s" in str(error)
        assert "lost" in str(error)
        assert failure(interpreter, "x").exception == "NameError"


def test_code_that_does_not_look_at_the_clock_is_stopped_too():
    with PythonInterpreter(timeout=0.1) as interpreter:
        error = failure(interpreter, "print('begun')\nx = 7 ** (5 * 10**7)")
        assert (error.kind, error.limit, error.state_lost) == ("limit", "time", True)
        assert interpreter.execute("1") == 1


@pytest.mark.parametrize(
    "code",
    [
        "'a' * 2**30",
        "x = []\nwhile True:\n    x.append('a' * 100_000)",
        "[0] * 10**9",
        "2 ** 10**10",
        "'a' * 25_000_000",
    ],
)
def test_code_that_needs_too_much_memory_is_stopped(interpreter, code):
    error = failure(interpreter, code)
    assert (error.kind, error.limit, error.state_lost) == ("limit", "memory", True)
    assert interpreter.execute("'a' * 10") == "a" * 10


def test_one_gigabyte_is_too_much_by_default():
    with PythonInterpreter() as interpreter:
        assert failure(interpreter, "x = 'a' * 10**9").limit == "memory"


@pytest.mark.parametrize(
    "code",
    [
        "def f(n):\n    return f(n + 1)\nf(0)",
        "class A:\n    def __repr__(self):\n        return repr(self)\nrepr(A())",
    ],
)
def test_deep_recursion_is_stopped_and_the_session_goes_on(interpreter, code):
    interpreter.execute("x = 1")
    error = failure(interpreter, code)
    assert (error.kind, error.limit, error.exception, error.state_lost) == (
        "limit",
        "recursion",
        "RecursionError",
        False,
    )
    assert interpreter.execute("x") == 1


def test_source_that_is_nested_too_deeply_is_refused(interpreter):
    assert failure(interpreter, "(" * 100_000 + ")" * 100_000).kind == "syntax"
    assert failure(interpreter, "-" * 100_000 + "1").kind == "syntax"


# What an error says


def test_code_that_does_not_parse_says_where(interpreter):
    error = failure(interpreter, "print('never')\nx = = 1")
    assert (error.kind, error.exception, error.line, error.printed) == ("syntax", "SyntaxError", 2, "")
    assert "line 2" in str(error)


def test_python_that_the_sandbox_does_not_know_is_a_syntax_error_too(interpreter):
    error = failure(interpreter, "print('never')\nclass E(Exception):\n    pass")
    assert (error.kind, error.exception, error.line) == ("syntax", "NotImplementedError", 2)


def test_an_exception_of_the_code_says_what_where_and_what_was_printed(interpreter):
    interpreter.execute("def earlier(n):\n\n\n    return 1 / n")
    error = failure(interpreter, "print('so far')\ndef here():\n    return earlier(0)\nhere()")
    assert isinstance(error, DSPexError)
    assert (error.kind, error.exception, error.limit) == ("exception", "ZeroDivisionError", None)
    assert error.message == "ZeroDivisionError: division by zero"
    assert error.line == 3  # of this code: not the fourth of what was defined before
    assert str(error) == "ZeroDivisionError: division by zero (line 3)"
    assert error.printed == "so far\n"
    assert error.traceback.startswith("Traceback (most recent call last):")
    assert "in earlier" in error.traceback


def test_a_syntax_error_at_run_time_is_an_exception(interpreter):
    error = failure(interpreter, "x = 1\neval('1 +')")
    assert (error.kind, error.exception, error.line) == ("exception", "SyntaxError", 2)


@pytest.mark.parametrize("exception", ["MemoryError", "TimeoutError", "RecursionError"])
def test_an_exception_that_code_raises_is_no_limit(interpreter, exception):
    assert failure(interpreter, f"raise {exception}('mine')").kind == "exception"


# The process


@pytest.mark.parametrize("code", ["while True:\n    pass", "1 + 1"], ids=["busy", "idle"])
def test_a_killed_worker_is_a_crash_and_the_next_execution_starts_afresh(code):
    with PythonInterpreter() as interpreter:
        interpreter.execute("x = 1")
        process = worker_of(interpreter)
        if code == "1 + 1":
            os.kill(process, signal.SIGKILL)
        else:
            threading.Timer(0.1, os.kill, (process, signal.SIGKILL)).start()
        error = failure(interpreter, code)
        assert (error.kind, error.state_lost) == ("crash", True)
        assert "lost" in str(error)
        assert failure(interpreter, "x").exception == "NameError"
        assert interpreter.execute("x = 2\nx") == 2


def test_a_worker_that_is_killed_while_a_tool_runs_is_a_crash(interpreter):
    interpreter.tools["kill"] = lambda: os.kill(worker_of(interpreter), signal.SIGKILL)
    assert failure(interpreter, "kill()").kind == "crash"
    assert interpreter.execute("1") == 1


def test_a_sandbox_that_does_not_start_is_a_crash(monkeypatch):
    monkeypatch.setenv("MONTY_BIN", "/no/such/file")
    error = failure(PythonInterpreter(), "1")
    assert (error.kind, "/no/such/file" in str(error)) == ("crash", True)


def test_shutdown_ends_the_process_and_forgets(interpreter):
    interpreter.execute("x = 1")
    process = worker_of(interpreter)
    interpreter.shutdown()
    interpreter.shutdown()
    assert wait_for_end(process)
    assert failure(interpreter, "x").exception == "NameError"


def test_starting_twice_starts_one_process(interpreter):
    process = worker_of(interpreter)
    interpreter.start()
    assert worker_of(interpreter) == process


def test_shutdown_from_another_thread_stops_the_code():
    interpreter = PythonInterpreter()
    interpreter.start()
    threading.Timer(0.1, interpreter.shutdown).start()
    assert failure(interpreter, "while True:\n    pass").state_lost
    assert interpreter.execute("1") == 1
    interpreter.shutdown()


OWNER = """
import sys, time
from dspex_core.interpreter import PythonInterpreter
interpreter = PythonInterpreter(timeout=1)
interpreter.start()
print(interpreter._sandbox._process, flush=True)
if sys.argv[1] == "busy":
    interpreter.execute("while True:\\n    pass")
if sys.argv[1] == "idle":
    time.sleep(60)
"""


@pytest.mark.parametrize("state", ["exits", "idle", "busy"])
def test_no_process_outlives_its_owner(state):
    with subprocess.Popen([sys.executable, "-c", OWNER, state], stdout=subprocess.PIPE, text=True) as owner:
        process = int(owner.stdout.readline())
        if state != "exits":
            owner.kill()
        owner.wait(20)
    assert wait_for_end(process)


def test_importing_it_loads_neither_the_sandbox_nor_pydantic():
    code = "import sys, dspex_core.interpreter; print([m for m in ('pydantic_monty', 'pydantic') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


# Tools


def test_code_calls_tools_by_name_with_json_like_data(interpreter):
    seen = []

    def search(query, k=1):
        seen.append((query, k))
        return (Order(number=k),)

    interpreter.tools["search"] = search
    code = "hits = [search(q, k=2) for q in ['a', 'b']]\nfind = search\nhits.append(find({'c': (1,)}))\nhits"
    assert interpreter.execute(code) == [[{"number": k, "items": []}] for k in (2, 2, 1)]
    assert seen == [("a", 2), ("b", 2), ({"c": [1]}, 1)]


async def later(value):
    await asyncio.sleep(0)
    return value + 1


@pytest.mark.parametrize("how", ["sync", "async"])
def test_tools_may_be_sync_or_async_in_both_manners_of_waiting(how):
    with PythonInterpreter(tools={"now": lambda value: value + 1, "later": later}) as interpreter:
        code = "now(1) + later(2)"
        result = interpreter.execute(code) if how == "sync" else asyncio.run(interpreter.aexecute(code))
    assert result == 5


def test_the_time_that_a_tool_takes_is_not_the_code_s():
    with PythonInterpreter(timeout=0.1, tools={"wait": lambda: time.sleep(0.3)}) as interpreter:
        assert interpreter.execute("wait()\n1") == 1


ENDLESS_CALLS = {
    "calls": "while True:\n    step()",
    "slow calls": "while True:\n    wait()",
    "calls in functions": "def again():\n    while True:\n        step()\nagain()",
    "caught": "while True:\n    try:\n        fail()\n    except Exception:\n        pass",
    "unknown names": "while True:\n    try:\n        nobody()\n    except NameError:\n        pass",
    "large results": "while True:\n    print(many())",
}


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("code", ENDLESS_CALLS.values(), ids=ENDLESS_CALLS)
def test_endless_calls_of_tools_are_stopped(code, how):
    tools = {"step": lambda: 1, "wait": lambda: time.sleep(0.01), "fail": lambda: 1 / 0, "many": lambda: "a" * 10_000}
    with PythonInterpreter(timeout=0.1, tools=tools) as interpreter:
        with pytest.raises(InterpreterError, match=r"0.1 s|1 s \(10 x timeout\)") as caught:
            interpreter.execute(code) if how == "sync" else asyncio.run(interpreter.aexecute(code))
        assert (caught.value.kind, caught.value.limit, caught.value.state_lost) == ("limit", "time", True)
        assert interpreter.execute("step()") == 1


def test_a_tool_may_return_an_iterator_that_ends(interpreter):
    interpreter.tools.update(some=lambda: iter("ab"), endless=itertools.count)
    assert interpreter.execute("some()") == ["a", "b"]
    assert "more than 100,000 items" in str(failure(interpreter, "endless()"))


def test_code_may_handle_what_a_tool_raises(interpreter):
    def refuse():
        raise ValueError("no such order")

    interpreter.tools["refuse"] = refuse
    assert interpreter.execute("try:\n    refuse()\nexcept ValueError as e:\n    x = str(e)\nx") == "no such order"
    error = failure(interpreter, "refuse()")
    assert (error.kind, error.exception) == ("exception", "ValueError")
    assert isinstance(error.__cause__, ValueError)
    assert interpreter.execute("1") == 1


def test_text_that_cannot_be_written_stays_outside(interpreter):
    def refuse():
        raise ValueError("half a character: \ud800")

    interpreter.tools.update(refuse=refuse, read=lambda: "\ud800")
    assert "ud800" in str(failure(interpreter, "refuse()"))
    assert "surrogate" in str(failure(interpreter, "read()"))
    assert failure(interpreter, "'\ud800'").kind == "syntax"
    assert interpreter.execute("1") == 1


def test_an_error_of_the_code_has_no_tool_as_its_cause(interpreter):
    interpreter.tools["refuse"] = lambda: 1 / 0
    error = failure(interpreter, "try:\n    refuse()\nexcept ZeroDivisionError:\n    pass\nmissing")
    assert (error.exception, isinstance(error.__cause__, ZeroDivisionError)) == ("NameError", False)


@pytest.mark.parametrize(
    ("result", "code", "seen"),
    [
        (object, "tool()[:7]", "<class "),
        (CYCLE, "try:\n    tool()\nexcept ValueError as e:\n    x = 'itself' in str(e)\nx", True),
        ("a" * 10_000_000, "len(tool())", 10_000_000),
        (None, "tool() is None", True),
    ],
)
def test_a_tool_may_return_anything(interpreter, result, code, seen):
    interpreter.tools["tool"] = lambda: result
    with PythonInterpreter(tools=interpreter.tools) as roomy:
        assert roomy.execute(code) == seen


def test_wrong_arguments_and_unknown_names_are_errors_in_the_code(interpreter):
    interpreter.tools["search"] = lambda query: query
    assert failure(interpreter, "search()").exception == "TypeError"
    assert failure(interpreter, "search(2 ** 50_000)").exception == "ValueError"
    assert failure(interpreter, "find('x')").exception == "NameError"
    assert failure(interpreter, "f = find").exception == "NameError"


def test_a_tool_cannot_execute_in_the_interpreter_that_waits_for_it(interpreter):
    interpreter.tools["again"] = lambda: interpreter.execute("1")
    error = failure(interpreter, "again()")
    assert "executing other code" in str(error)
    assert interpreter.execute("2") == 2


def test_a_tool_that_shuts_its_interpreter_down_ends_the_code(interpreter):
    interpreter.tools["stop"] = interpreter.shutdown
    assert failure(interpreter, "stop()").state_lost
    assert interpreter.execute("1") == 1


class Unswallowable(BaseException):
    pass


def test_what_is_no_exception_goes_past_the_code(interpreter):
    def leave():
        raise Unswallowable

    interpreter.tools["leave"] = leave
    with pytest.raises(Unswallowable):
        interpreter.execute("try:\n    leave()\nexcept BaseException:\n    pass")
    assert interpreter.execute("1") == 1


# SUBMIT


def test_submit_ends_the_code_with_its_output(interpreter):
    code = "x = 1\ntry:\n    SUBMIT({'answer': 4})\nexcept Exception:\n    x = 2\nx = 3"
    assert interpreter.execute(code) == FinalOutput({"output": {"answer": 4}})
    assert interpreter.execute("x") == 1


def test_submit_takes_the_output_fields_by_position_or_name():
    for fields in (["answer", "score"], [{"name": "answer", "type": "str"}, {"name": "score"}]):
        with PythonInterpreter(output_fields=fields) as interpreter:
            assert interpreter.execute("SUBMIT('a', score=1)") == FinalOutput({"answer": "a", "score": 1})
            error = failure(interpreter, "SUBMIT('a')")
            assert (error.exception, "SUBMIT(answer, score)" in str(error)) == ("TypeError", True)


def test_code_that_goes_on_after_submit_changes_nothing(interpreter):
    called = []
    interpreter.tools["tool"] = lambda: called.append(1)
    again = "\nexcept BaseException:\n    pass\n"
    code = f"print('so far')\ntry:\n    SUBMIT(1){again}try:\n    SUBMIT(2){again}"
    execution = drive(interpreter.steps(code + "'end'"))
    assert (execution.final, execution.printed) == (FinalOutput({"output": 1}), "so far\n")
    assert interpreter.execute(code + "tool()") == FinalOutput({"output": 1})
    assert called == []


# As a part of a flow


def ask(prompt, scale=1):
    yield Sleep(0)
    answer = yield Call(len, (prompt,))
    return answer * scale


def refusing(prompt):
    yield Sleep(0)
    raise LookupError(prompt)


def run(how, flow):
    return drive(flow) if how == "sync" else asyncio.run(adrive(flow))


both = pytest.mark.parametrize("how", ["sync", "async"])


@both
def test_flows_answer_tool_calls(interpreter, how):
    interpreter.tools["ask"] = lambda prompt: "never asked"
    code = "print('asking')\nanswers = [ask(p, scale=s) for p in context]\nanswers"
    flow = run_code(interpreter, code, {"context": ["a", "bcd"], "s": 2}, tools={"ask": ask})
    execution = run(how, flow)
    assert (execution.value, execution.printed, execution.final) == ([2, 6], "asking\n", None)


@both
def test_output_fields_of_one_execution(interpreter, how):
    execution = run(how, run_code(interpreter, "SUBMIT(1, b=2)", output_fields=["a", "b"]))
    assert execution.result == FinalOutput({"a": 1, "b": 2})


@both
def test_an_error_of_a_flow_is_raised_in_the_code(interpreter, how):
    code = "try:\n    refuse('x')\nexcept LookupError as e:\n    found = str(e)\nfound"
    assert run(how, run_code(interpreter, code, tools={"refuse": refusing})).value == "x"


def test_cancelling_stops_the_code_at_once():
    async def cancelled(interpreter, code):
        task = asyncio.create_task(interpreter.aexecute(code))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def forever():
        await asyncio.sleep(600)

    with PythonInterpreter(tools={"forever": forever}) as interpreter:
        for code in ("while True:\n    pass", "forever()"):
            interpreter.start()
            process = worker_of(interpreter)
            asyncio.run(cancelled(interpreter, code))
            assert wait_for_end(process)
            assert interpreter.execute("1") == 1


def test_listeners_and_callbacks_are_told_of_each_execution():
    events, calls = [], []

    class Noting(dspex_core.BaseCallback):
        def on_interpreter_execute_start(self, call_id, instance, inputs):
            calls.append((type(instance), inputs))

        def on_interpreter_execute_end(self, call_id, outputs, exception=None):
            calls.append((outputs, exception and exception.kind))

    with PythonInterpreter(callbacks=[Noting()]) as interpreter, context(listeners=[events.append]):
        interpreter.execute("x + 1", {"x": 1})
        failure(interpreter, "1 / 0")
    assert [event.name.rsplit(".", 1)[1] for event in events] == ["start", "stop", "start", "exception"]
    assert calls == [
        (PythonInterpreter, {"code": "x + 1", "variables": {"x": 1}}),
        (2, None),
        (PythonInterpreter, {"code": "1 / 0", "variables": {}}),
        (None, "exception"),
    ]


# Other interpreters


class Scripted:
    """An interpreter as users write them for DSPy: no flows, and `execute` calls the tools itself."""

    def __init__(self, run):
        self.tools = {}
        self.run = run

    def start(self):
        pass

    def execute(self, code, variables=None):
        return self.run(self.tools, code, variables)

    def shutdown(self):
        pass


@both
def test_a_plain_interpreter_runs_in_a_flow(how):
    plain = Scripted(lambda tools, code, variables: tools["ask"](variables["p"], scale=len(code)))
    assert isinstance(plain, CodeInterpreter)
    assert not isinstance(plain, SteppedInterpreter)
    assert run(how, run_code(plain, "code", {"p": "abc"}, tools={"ask": ask})).value == 12


@pytest.mark.parametrize(
    ("result", "printed", "value", "final"),
    [("text\n", "text\n", None, None), ([1], "", [1], None), (FinalOutput(3), "", None, FinalOutput(3))],
)
def test_what_a_plain_interpreter_returns_is_an_execution(result, printed, value, final):
    execution = drive(run_code(Scripted(lambda *_: result), ""))
    assert (execution.printed, execution.value, execution.final) == (printed, value, final)
    assert execution.result == result


def test_a_syntax_error_of_a_plain_interpreter_is_an_interpreter_error():
    with pytest.raises(InterpreterError) as caught:
        drive(run_code(Scripted(lambda tools, code, variables: compile(code, "code", "exec")), "x = = 1"))
    assert (caught.value.kind, caught.value.line) == ("syntax", 1)


def test_the_default_interpreter_keeps_the_contract(interpreter):
    assert isinstance(interpreter, CodeInterpreter)
    assert isinstance(interpreter, SteppedInterpreter)
