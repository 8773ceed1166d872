"""The journal: a killed run goes on where it was, and another evaluation is refused."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import (
    Budget,
    ConfigurationError,
    Evaluate,
    EvaluationError,
    Example,
    Module,
    Predict,
    Prediction,
    Score,
    ScriptedLM,
    context,
)


def rows(count, **fields):
    return [Example(n=n, **fields).with_inputs("n") for n in range(count)]


def metric(example, prediction, trace=None):
    return prediction.double == 2 * example.n


def doubling(asked, bad=()):
    def program(n):
        asked.append(n)
        if n in bad:
            raise ZeroDivisionError(n)
        return Prediction(double=2 * n)

    return program


def shown(result):
    return [
        (c.index, c.attempt, c.example, c.prediction, c.score, str(c.error), c.usage, c.trace) for c in result.cases
    ]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.jsonl"


def run(how, evaluate, program):
    return evaluate(program) if how == "sync" else asyncio.run(evaluate.acall(program))


both = pytest.mark.parametrize("how", ["sync", "async"])


@both
class TestResume:
    def test_what_is_in_the_journal_is_not_asked_again_and_the_result_is_the_same(self, how, path):
        asked = []
        evaluate = Evaluate(devset=rows(20), metric=metric, journal=path, repeats=2, num_threads=2)
        whole = run(how, evaluate, doubling(asked))
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:16]))
        asked.clear()

        again = run(how, evaluate, doubling(asked))

        assert len(asked) == 25
        assert shown(again) == shown(whole)
        asked.clear()
        assert shown(run(how, evaluate, doubling(asked))) == shown(whole)
        assert asked == []

    def test_predictions_usage_and_traces_of_a_model_come_back(self, how, path):
        with context(lm=ScriptedLM(lambda _: {"double": "4"})):
            evaluate = Evaluate(devset=rows(3), metric=lambda e, p, trace=None: 0.5, journal=path)
            first = run(how, evaluate, Predict("n: int -> double: int"))
        with context(lm=ScriptedLM([])):
            second = run(how, evaluate, Predict("n: int -> double: int"))
        assert shown(second) == shown(first)
        assert second.cases[0].trace[0].inputs == {"n": 0}
        assert second.cases[0].latency == first.cases[0].latency

    def test_values_come_back_that_are_hard_to_encode(self, how, path):
        text, deep, asked = "\ud800 \x7f \u2028 \xe9 \n", [], []
        for _ in range(300):
            deep = [deep]

        def program(n):
            asked.append(n)
            return Prediction(double=[text, deep, "\xe9", 2 * n][n])

        def feedback(example, prediction, trace=None):
            return Score(0.5, text if example.n else "\xe9", {"said": text} if example.n > 1 else {})

        evaluate = Evaluate(devset=rows(4), metric=feedback, journal=path)
        first = run(how, evaluate, program)
        assert sorted(asked) == [0, 1, 2, 3]
        assert shown(run(how, evaluate, program)) == shown(first)
        assert sorted(asked) == [0, 1, 2, 3]
        assert not first.errors

    @pytest.mark.parametrize(("retry", "asked_again"), [(True, [1, 3]), (False, [])])
    def test_failed_cases_are_asked_again_unless_they_are_to_stay(self, how, path, retry, asked_again):
        asked = []
        options = {"devset": rows(5), "metric": metric, "journal": path, "num_threads": 1, "retry_errors": retry}
        first = run(how, Evaluate(**options), doubling([], bad=[1, 3]))
        assert len(first.errors) == 2

        second = run(how, Evaluate(**options), doubling(asked))

        assert asked == asked_again
        assert len(second.errors) == (0 if retry else 2)
        assert len(second) == 5

    def test_a_case_that_the_budget_had_no_room_for_is_asked_whenever_it_goes_on(self, how, path):
        options = {"devset": rows(4), "metric": lambda e, p, trace=None: 1, "journal": path, "num_threads": 1}
        program = Predict("n: int -> double: int")
        lm = ScriptedLM(lambda _: {"double": "4"})
        with context(lm=lm, budget=Budget(calls=2)), pytest.raises(EvaluationError, match="budget"):
            run(how, Evaluate(**options), program)
        with context(lm=lm):
            assert not run(how, Evaluate(**options, retry_errors=False), program).errors

    def test_a_run_that_stopped_at_its_errors_goes_on(self, how, path):
        evaluate = Evaluate(devset=rows(9), metric=metric, journal=path, num_threads=1, max_errors=0)
        with pytest.raises(EvaluationError):
            run(how, evaluate, doubling([], bad=[4]))
        asked = []
        assert run(how, evaluate, doubling(asked)).mean == 1
        assert asked == [4, 5, 6, 7, 8]

    def test_more_attempts_ask_only_for_those_that_are_missing(self, how, path):
        asked = []
        run(how, Evaluate(devset=rows(3), metric=metric, journal=path), doubling([]))
        result = run(how, Evaluate(devset=rows(3), metric=metric, journal=path, repeats=3), doubling(asked))
        assert (sorted(asked), len(result)) == ([0, 0, 1, 1, 2, 2], 9)

    def test_an_iterator_goes_on_too(self, how, path):
        asked = []
        for keep in ("all", "none"):
            result = run(how, Evaluate(devset=iter(rows(9)), metric=metric, journal=path, keep=keep), doubling(asked))
        assert sorted(asked) == list(range(9))
        assert (result.mean, result.n) == (1, 9)


@given(cut=st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_a_journal_cut_anywhere_goes_on(cut, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cut")
    path = folder / "run.jsonl"
    evaluate = Evaluate(devset=rows(6), metric=metric, journal=path, num_threads=1)
    whole, content = evaluate(doubling([])), path.read_bytes()
    path.write_bytes(content[: cut % len(content)])
    kept = max(0, path.read_bytes().count(b"\n") - 1)
    asked = []
    assert shown(evaluate(doubling(asked))) == shown(whole)
    assert len(asked) == 6 - kept
    assert all(json.loads(line) for line in path.read_bytes().splitlines())


@pytest.mark.parametrize(
    "damage",
    [b"{", b"", b"[]", b"null", b"\x00\x00", b'{"index": 1}', b"\xff", b'{"index": -1, "attempt": 1, "row": ""}'],
)
@pytest.mark.parametrize("line", [1, 3])
def test_any_other_damaged_line_is_named(path, damage, line):
    evaluate = Evaluate(devset=rows(4), metric=metric, journal=path)
    evaluate(doubling([]))
    lines = path.read_bytes().splitlines()
    lines[line - 1] = damage
    path.write_bytes(b"\n".join([*lines, b""]))
    before = path.read_bytes()

    with pytest.raises(ConfigurationError, match=rf"run\.jsonl:{line}: the line is "):
        evaluate(doubling([]))
    assert path.read_bytes() == before


class Triple(Module):
    def __init__(self, instructions):
        self.ask = Predict("n -> double")
        self.ask.signature = self.ask.signature.with_instructions(instructions)

    def forward(self, n):
        return Prediction(double=2 * n)


class TestAnotherEvaluation:
    def refused(self, path, match, program=None, **options):
        first = {"devset": rows(4), "metric": metric, "journal": path}
        with context(lm=ScriptedLM([])):
            Evaluate(**first)(Triple("Double it."))
            before = path.read_bytes()
            with pytest.raises(ConfigurationError, match=match) as caught:
                Evaluate(**{**first, **options})(program or Triple("Double it."))
        assert path.read_bytes() == before
        return str(caught.value)

    def test_other_instructions(self, path):
        message = self.refused(path, "another program", Triple("Triple it."))
        assert "Double it." in message
        assert "Triple it." in message

    def test_another_function(self, path):
        self.refused(path, "another program", lambda n: Prediction(double=n))

    def test_another_metric(self, path):
        self.refused(path, "another metric", metric=lambda example, prediction, trace=None: 1.0)

    def test_another_row(self, path):
        devset = rows(4)
        devset[2] = Example(n=77).with_inputs("n")
        message = self.refused(path, r"another devset \(4 rows then, 4 now", devset=devset)
        assert "1 differ, the first is row 3" in message

    def test_another_row_of_an_iterator(self, path):
        devset = rows(4)
        devset[2] = Example(n=77).with_inputs("n")
        self.refused(path, "row 3 of the devset is another than in the journal", devset=iter(devset))

    def test_more_rows(self, path):
        self.refused(path, r"another devset \(4 rows then, 5 now\)", devset=rows(5))

    def test_other_inputs(self, path):
        self.refused(path, "another devset", devset=[Example(n=n, m=1).with_inputs("n") for n in range(4)])

    def test_another_model(self, path):
        Evaluate(devset=rows(4), metric=metric, journal=path)(doubling([]))
        with context(lm=ScriptedLM([])), pytest.raises(ConfigurationError, match="another LM"):
            Evaluate(devset=rows(4), metric=metric, journal=path)(doubling([]))

    def test_what_a_program_counts_is_no_difference(self, path):
        class Counting(Module):
            def __init__(self):
                self.calls, self.seen = 0, []

            def forward(self, n):
                self.calls += 1
                self.seen.append(n)
                return Prediction(double=2 * n)

        program = Counting()
        for _ in range(2):
            Evaluate(devset=rows(4), metric=metric, journal=path)(program)
        assert program.calls == 4

    def test_another_file(self, path):
        path.write_text('{"question": "?"}\n')
        with pytest.raises(ConfigurationError, match="not the first line of an evaluation's journal"):
            Evaluate(devset=rows(4), metric=metric, journal=path)(doubling([]))


@pytest.mark.skipif(os.name != "posix", reason="files are not locked there")
def test_two_evaluations_do_not_share_a_journal(path):
    def program(n):
        if n == 0:
            with pytest.raises(ConfigurationError, match=r"run\.jsonl.* is in use by another evaluation"):
                Evaluate(devset=rows(2), metric=metric, journal=path)(doubling([]))
        return Prediction(double=2 * n)

    assert Evaluate(devset=rows(2), metric=metric, journal=path)(program).mean == 1
    assert Evaluate(devset=rows(2), metric=metric, journal=path)(program).mean == 1


def test_a_journal_that_cannot_be_opened_is_one_message(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Evaluate(devset=rows(1), metric=metric, journal=tmp_path)(doubling([]))


SCRIPT = """
import os, resource, sys
from dspex_core import Evaluate, EvaluationError, Example, Prediction

path, limit, kill_after = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def metric(example, prediction, trace=None):
    return True

def program(n):
    if n == kill_after:
        os.kill(os.getpid(), 9)
    return Prediction(double="x" * 200)

rows = [Example(n=n).with_inputs("n") for n in range(60)]
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))  # a file of this size is like a full disk
try:
    print(len(Evaluate(devset=rows, metric=metric, journal=path, num_threads=2)(program)))
except EvaluationError as error:
    print(error, "|", len(error.result))
"""


def in_a_process(path, *, limit=0, kill_after=-1):
    arguments = [sys.executable, "-c", SCRIPT, str(path), str(limit), str(kill_after)]
    return subprocess.run(arguments, text=True, capture_output=True, timeout=60, check=False)


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL to send")
def test_a_killed_run_and_a_full_disk_lose_nothing(path):
    killed = in_a_process(path, kill_after=30)
    assert killed.returncode == -signal.SIGKILL
    done = path.read_bytes().count(b"\n") - 1
    assert 20 <= done <= 31

    full = in_a_process(path, limit=path.stat().st_size + 3000)
    assert "cannot be written (File too large): stopped after" in full.stdout, full
    assert int(full.stdout.split("|")[1]) > done
    assert path.read_bytes().count(b"\n") - 1 > done

    assert in_a_process(path).stdout == "60\n"
    lines = [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
    assert sorted(line["index"] for line in lines) == list(range(60))
