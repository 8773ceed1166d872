"""What may be a devset: each kind works, or ends in one message before anything is asked."""

import asyncio
import json
import types

import pytest

from dspex_core import (
    ConfigurationError,
    DatasetError,
    Evaluate,
    Example,
    Module,
    Predict,
    Prediction,
    ScriptedLM,
    context,
)

ROWS = [{"n": n, "double": 2 * n} for n in range(4)]


class Double(Module):
    def forward(self, n):
        return Prediction(double=2 * n)


def right(example, prediction, trace=None):
    return example.double == prediction.double


def generated():
    yield from ROWS


def table():
    import pandas as pd

    return pd.DataFrame(ROWS)


def run(how, evaluate, program):
    return evaluate(program) if how == "sync" else asyncio.run(evaluate.acall(program))


KINDS = {
    "dicts": lambda _: ROWS,
    "a tuple of dicts": lambda _: tuple(ROWS),
    "a view": lambda _: dict(enumerate(ROWS)).values(),
    "a generator": lambda _: generated(),
    "an iterator of examples": lambda _: (Example(row).with_inputs("n") for row in ROWS),
    "a function": lambda _: generated,
    "a function that returns a list": lambda _: lambda: ROWS,
    "a DataFrame": lambda _: table(),
    "a path": lambda path: path,
    "a text path": str,
    "examples without inputs": lambda _: [Example(row) for row in ROWS],
    "read-only mappings": lambda _: [types.MappingProxyType(row) for row in ROWS],
}


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_the_same_result(kind, how, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))

    result = run(how, Evaluate(devset=KINDS[kind](path), metric=right), Double())

    assert [(case.index, case.example.n, case.score.value) for case in result.cases] == [(n, n, 1) for n in range(4)]


@pytest.mark.parametrize(
    ("devset", "message"),
    [
        ([], "the devset is empty"),
        (iter(()), "the devset is empty"),
        ({"n": 1}, "must be examples or dicts"),
        (7, "must be examples or dicts"),
        (None, "must be examples or dicts"),
        (b"rows", "must be examples or dicts"),
        (["a.jsonl"], "row 1 of the devset is not an Example"),
        ([{"x": 1}], r"row 1 of the devset has no input of the program \(n\), only x"),
        (iter([ROWS[0], "x"]), "row 2 of the devset is not an Example"),
    ],
)
def test_what_is_not_a_devset_ends_in_one_message(devset, message):
    with pytest.raises(ConfigurationError, match=message):
        Evaluate(devset=devset, metric=right)(Double())


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"none\.jsonl"):
        Evaluate(devset=tmp_path / "none.jsonl", metric=right)(Double())


def test_a_program_that_takes_any_field_does_not_say_which_are_inputs():
    with pytest.raises(ConfigurationError, match="not known which of a row are inputs"):
        Evaluate(devset=ROWS, metric=right)(lambda **fields: Prediction(fields))


class Pipeline(Module):
    def __init__(self):
        self.find = Predict("question -> query")
        self.tell = Predict("query, question -> answer")

    def forward(self, question):
        return self.tell(query=self.find(question=question).query, question=question)


@pytest.mark.parametrize("make", [lambda: Predict("question -> answer"), Pipeline])
def test_the_inputs_of_dicts_are_those_that_the_program_takes(make):
    lm = ScriptedLM(lambda _: {"answer": "two", "query": "q"})
    with context(lm=lm):
        result = Evaluate(devset=[{"question": "1+1?", "answer": "two"}], metric=lambda e, p, trace=None: 1)(make())
    assert result.cases[0].example.input_keys == {"question"}
    assert not result.errors


def test_an_iterator_is_read_as_there_is_room():
    read, done = [], []

    def rows():
        for row in ROWS * 25:
            read.append(row)
            assert len(read) <= len(done) + 3
            yield row

    def metric(example, prediction, trace=None):
        done.append(example)
        return True

    assert len(Evaluate(devset=rows(), metric=metric, num_threads=2)(Double())) == 100


def test_an_iterator_that_fails_ends_it_and_keeps_what_was_done():
    def rows():
        yield from ROWS[:2]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone") as caught:
        Evaluate(devset=rows(), metric=right, num_threads=1)(Double())
    assert len(caught.value.result) == 2


class TestKeep:
    def result(self, keep, **options):
        rows = [{"n": n, "double": 2 * n if n % 4 else -1} for n in range(40)]
        return Evaluate(devset=iter(rows), metric=right, keep=keep, **options)(Double())

    @pytest.mark.parametrize(("keep", "kept"), [("all", 40), ("failures", 10), ("none", 0)])
    def test_the_figures_are_those_of_all_cases(self, keep, kept):
        result, whole = self.result(keep), self.result("all")
        assert (len(result.cases), len(result), result.n, result.mean) == (kept, 40, 40, 0.75)
        assert (result.interval, repr(result), result >= 0.7) == (whole.interval, repr(whole), True)

    def test_attempts_count_as_their_mean(self):
        assert self.result("none", repeats=3).means == self.result("none").means

    @pytest.mark.parametrize("use", [lambda result: result.scores, lambda result: result.examples])
    def test_what_needs_all_cases_says_that_they_were_not_kept(self, use):
        with pytest.raises(ConfigurationError, match="10 of 40 cases are kept"):
            use(self.result("failures"))

    def test_rows_that_were_not_kept_are_not_read_again(self):
        evaluate = Evaluate(devset=iter(ROWS), metric=right, keep="none")
        evaluate(Double())
        with pytest.raises(ConfigurationError, match="have been read and were not kept"):
            evaluate(Double())
