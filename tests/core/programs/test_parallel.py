"""Parallel and Module.batch: many examples at once, failures as values, nothing run twice."""

import asyncio
import logging
import threading
import time

import pytest

from dspex_core import (
    Budget,
    BudgetExceededError,
    ConfigurationError,
    Example,
    Module,
    Parallel,
    ParallelError,
    Predict,
    Prediction,
    ScriptedLM,
    configure,
    context,
    load,
    settings,
    track_usage,
)


class Double(Module):
    def __init__(self, bad=()):
        self.bad = set(bad)

    def forward(self, n):
        if n in self.bad:
            raise ZeroDivisionError(f"cannot double {n}")
        return Prediction(double=2 * n)


def rows(count):
    return [Example(n=n, label="x").with_inputs("n") for n in range(count)]


def run(how, parallel, *args, **kwargs):
    return parallel(*args, **kwargs) if how == "sync" else asyncio.run(parallel.acall(*args, **kwargs))


def batch(how, program, *args, **kwargs):
    return program.batch(*args, **kwargs) if how == "sync" else asyncio.run(program.abatch(*args, **kwargs))


both = pytest.mark.parametrize("how", ["sync", "async"])


class TestParallel:
    @both
    @pytest.mark.parametrize("width", [1, 4])
    def test_results_come_in_the_order_of_the_pairs_whatever_form_the_inputs_have(self, how, width):
        def add(n, plus=0):
            time.sleep(0.002 * (5 - n))
            return n + plus

        pairs = [(Double(), rows(1)[0]), (Double(), {"n": 1}), (add, (2, 10)), (add, {"n": 3})]
        assert run(how, Parallel(width), pairs) == [Prediction(double=0), Prediction(double=2), 12, 3]

    @both
    def test_pairs_run_at_the_same_time_but_no_more_than_num_threads(self, how):
        lock, under_way, most = threading.Lock(), [], []

        def work(n):
            with lock:
                under_way.append(n)
                most.append(len(under_way))
            time.sleep(0.01)
            with lock:
                under_way.remove(n)

        run(how, Parallel(num_threads=8), [(work, {"n": n}) for n in range(12)], num_threads=3)
        assert max(most) == 3

    @both
    def test_an_example_may_be_given_as_a_whole(self, how):
        assert run(how, Parallel(access_examples=False), [(lambda row: row.label, row) for row in rows(2)]) == [
            "x",
            "x",
        ]

    @both
    def test_one_may_run_inside_another(self, how):
        inner = Parallel(num_threads=2)
        pairs = [(inner, [(Double(), {"n": n}), (Double(), {"n": n + 1})]) for n in (1, 5)]
        found = run(how, Parallel(num_threads=2), pairs)
        assert [[prediction.double for prediction in part] for part in found] == [[2, 4], [10, 12]]

    @both
    @pytest.mark.parametrize("inputs", ["text", [1], None])
    def test_inputs_of_no_known_form_are_refused_before_anything_runs(self, how, inputs):
        started = []
        with pytest.raises(ConfigurationError, match="an Example, a dict or a tuple, not"):
            run(how, Parallel(), [(started.append, (1,)), (started.append, inputs)])
        assert started == []

    @both
    def test_nothing_to_do_is_no_error(self, how):
        assert run(how, Parallel(), []) == []

    def test_it_can_be_saved_as_a_whole(self, tmp_path):
        Parallel(3, max_errors=0, timeout=2.5).save(tmp_path, save_program=True)
        loaded = load(tmp_path)
        assert (loaded.num_threads, loaded.max_errors, loaded.timeout) == (3, 0, 2.5)

    def test_a_bar_is_shown_on_terminals_only(self, capsys):
        Parallel()([(Double(), {"n": 1})])
        assert capsys.readouterr() == ("", "")


class TestFailures:
    @both
    def test_are_none_among_the_results_and_returned_on_demand(self, how, caplog):
        pairs = [(Double(bad=[1, 3]), row) for row in rows(5)]
        results, failed, exceptions = run(how, Parallel(return_failed_examples=True), pairs)
        assert [result and result.double for result in results] == [0, None, 4, None, 8]
        assert failed == [pairs[1][1], pairs[3][1]]
        assert [str(error) for error in exceptions] == ["cannot double 1", "cannot double 3"]
        assert "example 1 failed: ZeroDivisionError: cannot double 1" in caplog.text
        assert "Traceback" not in caplog.text

    @both
    def test_of_one_call_are_not_those_of_the_next(self, how):
        parallel = Parallel(return_failed_examples=True)
        for _ in range(2):
            _, failed, exceptions = run(how, parallel, [(Double(bad=[0]), row) for row in rows(2)])
            assert (len(failed), len(exceptions)) == (1, 1)

    def test_show_where_they_came_from_on_demand(self, caplog):
        Parallel(provide_traceback=True)([(Double(bad=[0]), rows(1)[0])])
        assert "Traceback" in caplog.text

    @both
    def test_too_many_end_it_and_what_was_done_is_kept(self, how):
        with pytest.raises(
            ParallelError, match=r"2 of 100 examples failed \(max_errors=1\).*cannot double 1"
        ) as caught:
            run(how, Parallel(num_threads=1, max_errors=1), [(Double(bad=[1, 2]), row) for row in rows(100)])
        assert [result and result.double for result in caught.value.results[:4]] == [0, None, None, None]
        assert sorted(caught.value.exceptions) == [1, 2]
        assert isinstance(caught.value.__cause__, ZeroDivisionError)

    @both
    def test_by_default_the_settings_say_how_many_are_too_many(self, how):
        pairs = [(Double(bad=[0]), row) for row in rows(2)]
        assert len(run(how, Parallel(), pairs)) == 2
        with context(max_errors=0), pytest.raises(ParallelError):
            run(how, Parallel(), pairs)

    @both
    def test_a_spent_budget_ends_it_at_once(self, how):
        lm = ScriptedLM(lambda _: {"answer": "a"})
        pairs = [(Predict("question -> answer"), {"question": str(n)}) for n in range(9)]
        with context(lm=lm, budget=Budget(calls=3)), pytest.raises(ParallelError, match="the budget ran out") as caught:
            run(how, Parallel(num_threads=1), pairs)
        assert [result is not None for result in caught.value.results] == [True] * 3 + [False] * 6
        assert isinstance(caught.value.__cause__, BudgetExceededError)

    @both
    def test_an_interrupt_ends_it_at_once(self, how):
        started = []

        def interrupted(n):
            started.append(n)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run(how, Parallel(num_threads=2), [(interrupted, (n,)) for n in range(100)])
        assert len(started) <= 2


class TestTimeout:
    @both
    def test_a_late_pair_fails_and_the_others_do_not(self, how):
        release = threading.Event()

        def work(n):
            if n == 1:
                release.wait()
            return n

        parallel = Parallel(num_threads=1, timeout=0.5, return_failed_examples=True)
        try:
            if how == "sync":
                results, failed, exceptions = parallel([(work, (n,)) for n in range(3)])
            else:

                async def main():
                    found = await parallel.acall([(work, (n,)) for n in range(3)])
                    release.set()  # asyncio waits for its threads
                    return found

                results, failed, exceptions = asyncio.run(main())
        finally:
            release.set()
        assert (results, failed) == ([0, None, 2], [(1,)])
        assert str(exceptions[0]) == "it was not done within 0.5 s"

    @both
    def test_no_pair_is_run_twice(self, how):
        started = []

        def slow(n):
            started.append(n)
            time.sleep(0.05)

        run(how, Parallel(num_threads=4, timeout=5, straggler_limit=3), [(slow, (n,)) for n in range(4)])
        assert sorted(started) == [0, 1, 2, 3]

    @both
    def test_errors_of_the_pair_itself_pass(self, how):
        def own(n):
            raise TimeoutError("of its own")

        _, _, exceptions = run(how, Parallel(timeout=5, return_failed_examples=True), [(own, (1,))])
        assert str(exceptions[0]) == "of its own"


class TestWhatIsKept:
    @both
    def test_usage_history_and_trace_are_those_of_all_pairs_in_order(self, how):
        def reply(request):
            time.sleep(0.01 * ("3" not in request.messages[-1].text))
            return {"answer": "a"}

        class Batched(Module):
            def __init__(self):
                self.ask = Predict("question -> answer")
                self.parallel = Parallel(num_threads=4)

            def flow(self, count):
                return (
                    yield from Module.steps(self.parallel, [(self.ask, {"question": str(n)}) for n in range(count)])
                )

        program = Batched()
        lm = ScriptedLM(reply)
        with context(lm=lm, trace=[]), track_usage() as usage:
            run(how, program, 5)
            assert [inputs["question"] for _, inputs, _ in settings.trace] == ["0", "1", "2", "3", "4"]
            assert all(predictor is program.ask for predictor, _, _ in settings.trace)
        assert (usage.calls, len(lm.history), len(program.history), len(program.ask.history)) == (5, 5, 5, 5)

    @both
    @pytest.mark.parametrize("is_async", [False, True])
    def test_what_one_pair_sets_does_not_reach_the_others(self, how, is_async):
        seen = []

        def leaky(n):
            seen.append(settings.max_errors)
            configure(max_errors=n + 1000)  # inside a context this is the context's own

        async def leaky_too(n):
            leaky(n)

        with context(max_errors=7):
            run(how, Parallel(num_threads=1), [(leaky_too if is_async else leaky, (n,)) for n in range(4)])
            assert settings.max_errors == 7
        assert seen == [7] * 4


class TestBatch:
    @both
    def test_runs_the_program_on_the_inputs_of_each_example(self, how):
        assert [found.double for found in batch(how, Double(), rows(4), 2)] == [0, 2, 4, 6]

    @both
    def test_takes_the_options_of_parallel(self, how, caplog):
        caplog.set_level(logging.ERROR)
        results, failed, exceptions = batch(
            how, Double(bad=[2]), rows(3), num_threads=2, max_errors=1, return_failed_examples=True, timeout=5
        )
        assert [result and result.double for result in results] == [0, 2, None]
        assert [row.n for row in failed] == [2]
        assert isinstance(exceptions[0], ZeroDivisionError)
        with pytest.raises(ParallelError):
            batch(how, Double(bad=[2]), rows(3), max_errors=0)

    @both
    def test_of_a_predictor_asks_for_each_example(self, how):
        lm = ScriptedLM(lambda request: {"answer": request.messages[-1].text.count("x")})
        examples = [Example(question="x" * n).with_inputs("question") for n in range(3)]
        with context(lm=lm):
            found = batch(how, Predict("question -> answer: int"), examples, num_threads=3)
        first = found[0].answer
        assert [prediction.answer - first for prediction in found] == [0, 1, 2]

    def test_an_example_without_named_inputs_is_refused(self):
        with pytest.raises(ValueError, match="call with_inputs"):
            Double().batch([Example(n=1)])
