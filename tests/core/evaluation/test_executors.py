"""Evaluate, Parallel and batch on the workers of an executor."""

import asyncio
import importlib
import logging
import multiprocessing
import pickle
import sys
import threading
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import pytest
import remote_programs as programs
from openai_server import OpenAIServer, Reply

from dspex_core import (
    LM,
    Budget,
    BudgetExceededError,
    ConfigurationError,
    Evaluate,
    EvaluationError,
    Example,
    Parallel,
    Predict,
    ScriptedLM,
    context,
    decided,
    settings,
    track_usage,
)
from dspex_core.errors import WorkerError
from dspex_core.programs.remote import worker

LIVE = {"recorder": None, "replay_only": False}


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture
def threads():  # an executor, too: what it gets and returns is packed as for processes
    with ThreadPoolExecutor(2) as executor:
        yield executor


def outcome(result):
    return [
        (case.index, case.example, case.prediction, case.score, str(case.error), case.usage) for case in result.cases
    ]


def test_an_evaluation_in_processes_equals_one_at_home(processes):
    devset = [*programs.rows(6), Example(question="fails").with_inputs("question")]
    evaluate = Evaluate(devset=devset, metric=programs.mentions)
    with context(lm=programs.lm()):
        at_home = evaluate(programs.Short())
        away = evaluate(programs.Short(), executor=processes)
        awaited = asyncio.run(evaluate.acall(programs.Short(), executor=processes))
    assert outcome(away) == outcome(at_home) == outcome(awaited)
    assert away.score == round(100 * 6 / 7, 2)
    assert all(case.example is example for case, example in zip(away.cases, devset, strict=True))


class Counting(ThreadPoolExecutor):
    """Threads that note how many pieces each message has; they may lose messages."""

    def __init__(self, *, loses=lambda order: False):
        super().__init__(2)
        self.sizes = []
        self._loses = loses

    def submit(self, work, order):
        self.sizes.append(len(order.pieces))
        if self._loses(order):
            future = Future()
            future.set_exception(RuntimeError("the worker is gone"))
            return future
        return super().submit(work, order)


MANY = [*programs.rows(120), Example(question="fails").with_inputs("question")]


def test_short_examples_travel_together_and_the_result_is_the_same():
    evaluate = Evaluate(devset=MANY, metric=programs.mentions, num_threads=2)
    with Counting() as executor, context(lm=programs.lm()), track_usage() as usage:
        at_home = evaluate(programs.Short())
        away = evaluate(programs.Short(), executor=executor)
        pairs = [(programs.Short(), row) for row in MANY[:-1]]
        made = Parallel(executor=executor, num_threads=2)(pairs)
    assert outcome(away) == outcome(at_home)
    assert [each.answer for each in made] == [case.prediction.answer for case in at_home.cases[:-1]]
    assert usage.totals().calls == 3 * 240
    assert sum(executor.sizes) >= 241
    assert max(executor.sizes) > 1, executor.sizes


def test_of_a_lost_message_only_the_piece_fails_that_is_lost_alone():
    def loses(order):
        return len(order.pieces) > 1 or order.pieces[0].place[-1] == 100

    with Counting(loses=loses) as executor, context(lm=programs.lm()):
        result = Evaluate(devset=MANY[:-1], metric=programs.mentions, num_threads=2)(
            programs.Short(), executor=executor
        )
    assert [(case.index, case.error.phase) for case in result.errors] == [(100, "worker")]
    assert [case.index for case in result.cases] == list(range(120))
    assert max(executor.sizes) > 1, "no message had several pieces, so none of several was lost"


def test_work_that_a_message_was_too_long_for_is_sent_again(monkeypatch):
    monkeypatch.setattr(worker, "LATE", 0)
    with Counting() as executor, context(lm=programs.lm()), track_usage() as usage:
        result = Evaluate(devset=MANY[:-1], metric=programs.mentions, num_threads=2)(
            programs.Short(), executor=executor
        )
    assert result.score == 100.0
    assert usage.totals().calls == 240
    assert max(executor.sizes) > 1, "each went alone, so no work was left"


@pytest.mark.parametrize("limits", [{"budget": Budget(calls=900)}, {}])
def test_examples_go_alone_where_too_much_work_under_way_costs(limits):
    rule = {} if limits else {"stop_when": decided(min=0.2)}
    evaluate = Evaluate(devset=MANY[:-1], metric=programs.mentions, num_threads=2, **rule)
    with Counting() as executor, context(lm=programs.lm(), **limits):
        evaluate(programs.Short(), executor=executor)
    assert set(executor.sizes) == {1}


def test_usage_histories_and_traces_come_back(processes):
    program, lm = programs.Short(), programs.lm()
    with context(lm=lm, trace=[]), track_usage() as usage:
        Evaluate(devset=programs.rows(4), metric=programs.mentions, executor=processes)(program)
        predictors = [predictor for predictor, _, _ in settings.trace]
    assert usage.totals().calls == len(lm.history) == len(program.history) == 8
    assert len(program.draft.history) == len(program.final.history) == 4
    assert sorted(map(id, predictors)) == sorted([id(program.draft), id(program.final)] * 4)


def test_parallel_and_batch_run_in_processes(processes):
    program, other = programs.Short(), Predict("question -> answer")
    pairs = [(program, programs.rows(1)[0]), (other, {"question": "why"}), (len, ("abc",))]
    with context(lm=programs.lm(), trace=[]):
        results = Parallel(executor=processes)(pairs)
        batch = program.batch(programs.rows(2), executor=processes)
        assert settings.trace[2][0] is other
    assert [results[0].answer, results[1].answer, results[2]] == [
        "question 0 has 10 characters",
        "why has 3 characters",
        3,
    ]
    assert [prediction.answer[:10] for prediction in batch] == ["question 0", "question 1"]


def test_the_settings_can_name_the_executor(threads):
    seen = set()

    def program(question):
        seen.add(threading.current_thread().name)
        return Example(answer=question)

    with context(executor=threads, lm=programs.lm()):
        result = Evaluate(devset=programs.rows(3), metric=programs.same)(program)
    assert result.score == 100.0
    assert not seen, "the program that ran was the caller's own, not one that travelled"


def test_a_program_defined_in_place_travels_by_value(processes):
    def shout(question):
        return Example(answer=question.upper())

    result = Evaluate(devset=programs.rows(2), metric=lambda example, made: made.answer.isupper())(
        shout, executor=processes
    )
    assert result.score == 100.0


@pytest.mark.parametrize("limit", [1, 5, 8])
def test_a_budget_holds_over_all_workers(threads, limit):
    calls = []

    def counted(question):
        return programs.Short()(question=question)

    budget = Budget(calls=limit)
    with context(lm=programs.lm(), budget=budget), pytest.raises(EvaluationError) as raised:
        Evaluate(devset=programs.rows(12), metric=programs.mentions, executor=threads, max_errors=99)(counted)
    assert isinstance(raised.value.__cause__, BudgetExceededError)
    assert budget.spent["calls"] == limit
    assert sum(case.error is None for case in raised.value.result.cases) == limit // 2
    assert not calls


def test_a_piece_whose_part_of_the_budget_was_too_small_runs_again_with_all_of_it(threads):
    def uneven(question):
        short = programs.Short()
        for _ in range(4 if question == "question 3" else 1):
            made = short(question=question)
        return made

    budget = Budget(calls=40)
    with context(lm=programs.lm(), budget=budget):
        result = Evaluate(devset=programs.rows(4), metric=programs.mentions, executor=threads)(uneven)
    assert result.score == 100.0
    assert budget.spent["calls"] <= 40


def test_the_key_of_an_lm_reaches_workers_and_no_pickle_of_its_own(processes):
    with OpenAIServer(script=lambda body: "[[ ## answer ## ]]\nyes\n[[ ## completed ## ]]") as server:
        lm = LM("openai/x", api_base=server.base_url, api_key="sk-travels-with-the-work", cache=False)
        with context(lm=lm, **LIVE):
            result = Evaluate(devset=programs.rows(3), metric=lambda example, made: made.answer == "yes")(
                Predict("question -> answer"), executor=processes
            )
        assert result.score == 100.0, result.errors
        assert {each.headers["authorization"] for each in server.requests} == {"Bearer sk-travels-with-the-work"}
    assert b"sk-travels" not in pickle.dumps(lm)


def test_what_cannot_travel_is_one_message(threads):
    lock = threading.Lock()

    def guarded(question):
        with lock:
            return Example(answer=question)

    with pytest.raises(ConfigurationError, match=r"cannot be sent to another process: .*lock"):
        Evaluate(devset=programs.rows(2), metric=programs.same, executor=threads)(guarded)
    with (
        context(lm=ScriptedLM(["one", "two"])),
        pytest.raises(ConfigurationError, match=r"cannot share replies in order"),
    ):
        Evaluate(devset=programs.rows(2), metric=programs.same, executor=threads)(programs.Short())


def test_a_result_that_cannot_leave_its_worker_fails_its_case_alone(processes):
    result = Evaluate(devset=programs.rows(2), metric=lambda *_: 1)(programs.locks, executor=processes)
    assert [case.error.phase for case in result.cases] == ["worker", "worker"]
    assert isinstance(result.cases[0].error.error, WorkerError)
    assert "cannot pickle" in str(result.cases[0].error)


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """Write and import a module of a user's project, anew for each text."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(source):
        (tmp_path / "my_project.py").write_text(source)
        monkeypatch.delitem(sys.modules, "my_project", raising=False)
        importlib.invalidate_caches()
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            return importlib.import_module("my_project")
        finally:
            sys.dont_write_bytecode = before

    yield make
    sys.modules.pop("my_project", None)


PROGRAM = "{before}\n\ndef program(question):\n    {within}return {{'answer': {answer!r}}}\n"


@pytest.mark.parametrize(
    ("before", "within"), [("", ""), ("import threading\nLOCK = threading.Lock()", "assert LOCK; ")]
)
def test_workers_that_live_on_run_the_code_as_it_is_now(processes, own_module, before, within):
    def answers(program):
        result = Evaluate(devset=programs.rows(3), metric=lambda *_: 1)(program, executor=processes)
        assert not result.errors, result.errors[0].error
        return {case.prediction["answer"] for case in result.cases}

    for answer in ("first", "second, after an edit"):
        module = own_module(PROGRAM.format(before=before, within=within, answer=answer))
        assert answers(module.program) == {answer}


def test_a_worker_that_cannot_import_the_program_says_what_to_do(processes, own_module, tmp_path):
    source = PROGRAM.format(before="import threading\nLOCK = threading.Lock()", within="assert LOCK; ", answer="x")
    module = own_module(source)
    (tmp_path / "my_project.py").unlink()
    result = Evaluate(devset=programs.rows(1), metric=programs.same)(module.program, executor=processes)
    error = str(result.cases[0].error)
    assert "a worker cannot load the program" in error
    assert "my_project" in error
    assert "Install your project where the workers run" in error


def test_a_pool_that_loses_its_workers_ends_with_what_was_done():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        result = Evaluate(devset=programs.rows(3), metric=programs.same, num_threads=1)(
            programs.exits, executor=executor
        )
    assert {case.error.phase for case in result.cases} == {"worker"}
    assert "terminated abruptly" in str(result.cases[0].error)


def test_what_is_no_executor_is_refused():
    with pytest.raises(ConfigurationError, match=r"must have a method `submit`.*'dask://here'"):
        Evaluate(devset=programs.rows(1), metric=programs.same, executor="dask://here")(programs.Short())


def test_an_error_of_the_provider_comes_back_as_it_was(processes):
    with OpenAIServer(Reply(status=401, body={"error": {"message": "wrong key"}})) as server:
        lm = LM("openai/x", api_base=server.base_url, api_key="k", cache=False, num_retries=0)
        with context(lm=lm, **LIVE):
            result = Evaluate(devset=programs.rows(1), metric=programs.same)(
                Predict("question -> answer"), executor=processes
            )
    assert type(result.cases[0].error.error).__name__ == "LMAuthError"


def test_dask_loses_no_case_when_a_worker_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed")
    program = partial(programs.kills_its_worker_once, marks=str(tmp_path))
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.CRITICAL}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        result = Evaluate(devset=programs.rows(12), metric=programs.same, executor=client.get_executor())(program)
    assert (tmp_path / "killed").exists()
    assert result.score == 100.0, result.errors
    assert [case.index for case in result.cases] == list(range(12))
