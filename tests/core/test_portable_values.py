"""Errors and results leave the process: pickle, cloudpickle, copies, a pool of processes, JSON."""

import copy
import datetime as dt
import inspect
import json
import math
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import cloudpickle
import pytest

import dspex_core
from dspex_core import (
    Budget,
    Evaluate,
    Example,
    Module,
    Predict,
    Prediction,
    Score,
    ScriptedLM,
    Signature,
    context,
    exact_match,
    track_usage,
)
from dspex_core.errors import DSPexError
from dspex_core.evaluation.case import CaseError, CaseResult
from dspex_core.evaluation.result import EvaluationResult

QA = Signature("question -> answer")


class Named(Signature):
    question: str = dspex_core.InputField()
    answer: str = dspex_core.OutputField()


def subclasses(cls):
    return [cls, *(found for sub in cls.__subclasses__() for found in subclasses(sub))]


KINDS = [
    kind for kind in dict.fromkeys(subclasses(DSPexError)) if kind.__module__.startswith(("dspex_core", "pytest_dspex"))
]
ARGUMENTS = {
    "message": "went wrong: \N{SNOWMAN}",
    "adapter_name": "ChatAdapter",
    "signature": QA,
    "lm_response": "hm",
    "calls": 3,
    "optimizer": "BootstrapFewShot",
    "reason": "no examples",
    "result": None,
    "results": [1, None],
    "exceptions": {1: ValueError("x")},
    "kind": "calls",
    "limit": 3,
    "spent": 2,
    "tool": "search",
    "args": {"query": "q"},
    "path": "a.json",
    "line": 3,
    "problems": ["a", "b"],
    "features": ["tools"],
    "missing": ["answer"],
    "invalid": {"answer": "too long"},
    "model": "openai/gpt",
    "status": 500,
    "http_status": 404,
    "headers": {"allow": "POST"},
    "retry_after": 1.5,
    "request_id": "r1",
    "function": len,
    "signal": StopIteration(),
}


def made(kind):
    """An error of a kind, with a value for each of its parameters that has one here."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = [one for one in inspect.signature(kind.__init__).parameters.values() if one.kind not in variadic]
    positional = [] if len(parameters) > 1 else [ARGUMENTS["message"]]
    error = kind(*positional, **{one.name: ARGUMENTS[one.name] for one in parameters if one.name in ARGUMENTS})
    error.add_note("a note")
    return error


WAYS = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "old pickle": lambda value: pickle.loads(pickle.dumps(value, protocol=2)),
    "cloudpickle": lambda value: pickle.loads(cloudpickle.dumps(value)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}
ways = pytest.mark.parametrize("way", WAYS)


def state(error):
    held = {name: value for name, value in vars(error).items() if name not in ("exceptions", "signature")}
    return (type(error), str(error), held, repr(vars(error).get("exceptions")))


@ways
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_comes_back_with_all_it_says(way, kind):
    error = made(kind)

    again = WAYS[way](error)

    assert state(again) == state(error)
    assert again.__notes__ == ["a note"]


def test_every_error_comes_back_from_another_process():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for kind in KINDS:
            future = pool.submit(fail, kind.__module__, kind.__qualname__)
            with pytest.raises(kind) as caught:
                future.result(60)
            assert str(caught.value) == str(made(kind))


def fail(module, name):
    raise made(vars(__import__(module, fromlist=[name]))[name])


@ways
@pytest.mark.parametrize("signature", [QA, Named, Predict(Named).signature.append("more", dspex_core.OutputField())])
def test_signatures_come_back(way, signature):
    assert signature.fields["answer"].type_adapter  # what is made when needed stays behind

    again = WAYS[way](signature)

    assert again.equals(signature)
    assert (again is Named) == (signature is Named)


class Failing(Module):
    def forward(self, n):
        if n == 1:
            raise OSError(5, "no such disk")
        if n == 2:

            class Local(Exception):  # noqa: N818  as users name theirs
                pass

            raise Local("only here")
        return Prediction(double=2 * n, when=dt.date(2024, 1, n + 1))


def evaluated():
    rows = [Example(n=n, double=2 * n, day=dt.date(2024, 1, 1)).with_inputs("n").with_id(f"row {n}") for n in range(4)]
    return Evaluate(devset=rows, metric=exact_match("double"))(Failing())


def asked():
    with context(lm=ScriptedLM(lambda _: {"answer": "two"})):
        rows = [Example(question="q", answer="two").with_inputs("question")]
        return Evaluate(devset=rows, metric=exact_match("answer"))(Predict(QA))


def shown(result):
    return [
        (
            case.example,
            case.example.id,
            case.example.input_keys,
            case.prediction,
            case.score,
            str(case.error),
            case.usage,
        )
        for case in result.cases
    ]


@ways
@pytest.mark.parametrize("make", [evaluated, asked])
def test_a_result_comes_back(way, make):
    result = make()

    again = WAYS[way](result)

    assert shown(again) == shown(result)
    assert (again.mean, again.metric, again.interval) == (result.mean, result.metric, result.interval)


def test_a_result_comes_back_from_another_process():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert shown(pool.submit(evaluated).result(60)) == shown(evaluated())


@ways
@pytest.mark.parametrize(
    "value",
    [
        Example(a=1, b=[Example(c=2)]).with_inputs("a").with_id("x"),
        Prediction.from_completions([{"a": 1}, {"a": 2}]),
        Prediction.from_completions([{"a": 1}, {"a": 2}]).completions,
        Score(0.5, "half"),
        dspex_core.Usage(1, 2),
        dspex_core.LMResponse((dspex_core.LMOutput("x"),), model="m"),
        dspex_core.Message("user", "hi"),
        dspex_core.History(messages=[{"question": "q", "answer": "a"}]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_come_back(way, value):
    assert repr(WAYS[way](value)) == repr(value)


@pytest.mark.parametrize("make", [evaluated, asked])
def test_a_case_comes_back_from_json(make):
    for case in make().cases:
        again = CaseResult.from_json(json.loads(json.dumps(case.to_json(), allow_nan=False)))

        assert (again.example, again.example.id, again.example.input_keys) == (
            case.example,
            case.example.id,
            case.example.input_keys,
        )
        assert (again.prediction, again.score, again.latency, again.usage) == (
            case.prediction,
            case.score,
            case.latency,
            case.usage,
        )
        assert str(again.error) == str(case.error)
        assert CaseResult.from_json(again.to_json()).to_json() == again.to_json()


class Unshowable(Exception):  # noqa: N818  as above
    def __str__(self):
        raise RuntimeError("no")


def cycle():
    found = [1]
    found.append(found)
    return found


ODD = {
    "half a pair": "\udc80x",
    "control characters": "\x00\x1b[31m\r",
    "a formula": "=1+1",
    "NaN": math.nan,
    "infinities": [math.inf, {"x": -math.inf}],
    "a huge int": 10**5000,
    "a cycle": cycle(),
    "keys of other types": {(1, 2): {3: None}},
    "bytes": b"\xff",
    "a set": {1},
    "a function": len,
    "a class": dict,
    "an object": object(),
    "a long text": "x" * 200_000,
}


@pytest.mark.parametrize("name", ODD)
def test_no_value_makes_saving_an_evaluation_fail(name, tmp_path):
    devset = [Example(n=1, given=ODD[name], **{"col\udc80": 1}).with_inputs("n"), Example(n=2).with_inputs("n")]

    def program(n):
        if n == 2:
            raise Unshowable
        return Prediction(answer=ODD[name])

    evaluate = Evaluate(
        devset=devset, metric=lambda *_: Score(1.0), save_as_csv=tmp_path / "a.csv", save_as_json=tmp_path / "a.json"
    )
    result = evaluate(program)

    rows = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)
    assert [row["n"] for row in rows] == [1, 2]
    assert (tmp_path / "a.csv").stat().st_size
    for case in result.cases:
        CaseResult.from_json(json.loads(json.dumps(case.to_json(), allow_nan=False)))


def test_a_tracker_keeps_counting_and_its_totals_do_not():
    with context(lm=ScriptedLM(lambda _: {"answer": "x"})), track_usage() as usage:
        Predict(QA)(question="q")
        before = usage.totals()
        Predict(QA)(question="r")

    assert (before.calls, usage.calls) == (1, 2)
    assert before.total.total_tokens < usage.totals().total.total_tokens
    assert usage.totals().get_total_tokens() == usage.get_total_tokens()


def test_a_damaged_case_is_an_error():
    for damage in ({}, {"example": {"fields": {}}}, {"example": 1}):
        with pytest.raises(ValueError, match="a stored case is damaged"):
            CaseResult.from_json(damage)


def test_the_result_types_are_all_here():
    assert {CaseError, CaseResult, EvaluationResult} <= {
        type(evaluated()),
        type(evaluated().cases[0]),
        type(evaluated().cases[1].error),
    }
    assert Budget(calls=1)  # not a value: it counts
