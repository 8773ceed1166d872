"""Repeats, time limits, phases and rules that end an evaluation early."""

import asyncio
import random
import threading
import time

import pytest

from dspex_core import (
    Budget,
    ChatAdapter,
    ConfigurationError,
    Evaluate,
    EvaluationError,
    Example,
    Module,
    Predict,
    Prediction,
    ScriptedLM,
    context,
    settings,
)
from dspex_core.stats import decided, mean_interval


def rows(count):
    return [Example(n=n).with_inputs("n").with_id(f"row {n}") for n in range(count)]


def passes(example, prediction, trace=None):
    return prediction.ok


def run(how, evaluate, program):
    return evaluate(program) if how == "sync" else asyncio.run(evaluate.acall(program))


both = pytest.mark.parametrize("how", ["sync", "async"])


class Attempts(Module):
    """Passes at the attempts that it is given by row."""

    def __init__(self, passing):
        self.passing = passing

    def forward(self, n):
        return Prediction(ok=settings.attempt in self.passing[n])


@both
class TestRepeats:
    def test_attempts_are_aggregated_by_example(self, how):
        result = run(how, Evaluate(devset=rows(2), metric=passes, repeats=4), Attempts([{1, 2, 3, 4}, {3}]))
        assert [(case.index, case.attempt) for case in result.cases] == [(n, k) for n in (0, 1) for k in (1, 2, 3, 4)]
        assert (result.mean, result.n, len(result)) == (0.625, 2, 8)
        assert result.scores == {"row 0": 1.0, "row 1": 0.25}
        assert [example.scores for example in result.examples] == [(1, 1, 1, 1), (0, 0, 1, 0)]
        assert repr(result) == "EvaluationResult(passes: 0.625, n=2, 8 attempts)"

    def test_the_interval_is_that_of_the_examples_not_of_the_attempts(self, how):
        always = [{1, 2, 3, 4, 5}] * 10 + [set()] * 10
        once, repeated = (
            run(how, Evaluate(devset=rows(20), metric=passes, repeats=k), Attempts(always)) for k in (1, 5)
        )
        assert repeated.interval == once.interval

    def test_each_attempt_at_a_temperature_asks_the_model_anew_and_is_kept_for_the_next_run(self, how):
        def results(temperature):
            lm = Counting()
            with context(lm=lm):
                evaluate = Evaluate(devset=rows(3), metric=lambda e, p, trace=None: 1, repeats=4, num_threads=1)
                run(how, evaluate, Predict("n -> ok", temperature=temperature))
            return lm.keys

        sampled, fixed = results(1.0), results(0)
        assert (len(sampled), len(set(sampled))) == (12, 12)
        assert (len(fixed), len(set(fixed))) == (12, 3)
        assert set(results(1.0)) == set(sampled)


class Counting(ScriptedLM):
    def __init__(self):
        super().__init__(lambda _: {"ok": "yes"})
        self.keys = []

    def complete(self, request):
        self.keys.append(request.key(self.model))
        return super().complete(request)


@both
@pytest.mark.parametrize("kind", ["program", "metric"])
def test_an_example_that_takes_too_long_fails_in_the_phase_timeout(how, kind):
    release = threading.Event()

    def slow(n):
        if n == 1 and kind == "program":
            release.wait(30)
        return Prediction(ok=True)

    def metric(example, prediction, trace=None):
        if example.n == 1 and kind == "metric":
            release.wait(30)
        return True

    result = run(how, Evaluate(devset=rows(3), metric=metric, timeout=1, num_threads=3), slow)
    release.set()
    assert [(case.example.n, case.error.phase, str(case.error)) for case in result.errors] == [
        (1, "timeout", "timeout: TimeoutError: it was not done within 1 s")
    ]
    assert result.cases[1].prediction == (None if kind == "program" else Prediction(ok=True))
    assert result.mean == pytest.approx(2 / 3)


@both
def test_a_timeout_of_the_program_itself_is_the_programs(how):
    def impatient(n):
        raise TimeoutError("no answer from the database")

    result = run(how, Evaluate(devset=rows(1), metric=passes, timeout=60), impatient)
    assert result.errors[0].error.phase == "program"


@both
def test_errors_are_told_apart_by_phase(how):
    replies = ["[[ ## ok ## ]]\nyes", "no marker at all", "[[ ## ok ## ]]\nyes"]

    def metric(example, prediction, trace=None):
        if example.n == 2:
            raise KeyError("a bug")
        return 1

    evaluate = Evaluate(devset=rows(9), metric=metric, num_threads=1)
    adapter = ChatAdapter(use_json_adapter_fallback=False)
    with (
        context(lm=ScriptedLM(replies), adapter=adapter, budget=Budget(calls=3)),
        pytest.raises(EvaluationError, match="budget") as caught,
    ):
        run(how, evaluate, Asking())
    phases = {phase: len(cases) for phase, cases in caught.value.result.errors_by_phase.items()}
    assert phases == {"adapter": 1, "metric": 1, "program": 1, "budget": 1}


class Asking(Module):
    def __init__(self):
        self.ask = Predict("n -> ok")

    def forward(self, n):
        if n == 3:
            raise ZeroDivisionError
        return self.ask(n=str(n))


@both
class TestStopWhen:
    def evaluate(self, how, **options):
        def metric(example, prediction, trace=None):
            time.sleep(random.random() / 1000)
            return example.n % 10 != 0

        evaluate = Evaluate(devset=rows(400), metric=metric, stop_when=decided(min=0.7), **options)
        return run(how, evaluate, lambda n: Prediction())

    def test_it_ends_as_soon_as_the_verdict_is_settled_and_says_after_how_many(self, how):
        result = self.evaluate(how, num_threads=4)
        assert result.stopped.verdict == "above"
        assert result.stopped.of == 400
        assert result.stopped.after <= result.n < 200  # others may end while one in the order is late
        assert f"stopped after {result.stopped.after} of 400 examples: above" in repr(result)

    def test_the_verdict_does_not_depend_on_how_many_run_at_once(self, how):
        assert self.evaluate(how, num_threads=1).stopped == self.evaluate(how, num_threads=7).stopped

    def test_the_order_is_random_and_that_of_the_seed(self, how):
        places = [{case.index for case in self.evaluate(how, num_threads=1, seed=seed).cases} for seed in (1, 1, 2)]
        assert places[0] == places[1] != places[2]
        assert places[0] != set(range(len(places[0])))

    def test_repeats_count_as_one_score(self, how):
        result = self.evaluate(how, num_threads=2, repeats=2)
        assert result.stopped.after == self.evaluate(how, num_threads=2).stopped.after

    def test_the_interval_is_one_that_holds_at_any_time_and_is_kept_in_files(self, how, tmp_path):
        result = self.evaluate(how, num_threads=4)
        same = self.evaluate(how, num_threads=1)
        ordinary = mean_interval(result.means)
        assert result.interval == same.interval
        assert result.interval.low < 0.9 < result.interval.high
        assert result.interval.high - result.interval.low > ordinary.high - ordinary.low
        result.save(tmp_path / "result.json")
        assert type(result).load(tmp_path / "result.json").interval == result.interval


def test_the_interval_of_a_stopped_evaluation_misses_the_mean_of_all_examples_seldom():
    missed = ordinary_missed = 0
    for seed in range(40):
        chosen = set(random.Random(1000 + seed).sample(range(200), 100))
        result = Evaluate(
            devset=rows(200),
            metric=lambda example, prediction, trace=None, chosen=chosen: example.n in chosen,
            stop_when=Sure(),
            seed=seed,
            num_threads=1,
        )(lambda n: Prediction())
        ordinary = mean_interval(result.means)
        missed += not result.interval.low <= 0.5 <= result.interval.high
        ordinary_missed += not ordinary.low <= 0.5 <= ordinary.high
    assert missed <= 40 * 0.05
    assert ordinary_missed > 40 * 0.15, "the rule was too seldom misled for the test to show anything"


class Sure:
    """The rule that one should not have: to stop as soon as an ordinary interval is on one side of a half."""

    verdict = None

    def start(self, n_total):
        return Sure()

    def __init__(self):
        self.scores = []

    def add(self, score):
        self.scores.append(score)
        if len(self.scores) >= 10 and (interval := mean_interval(self.scores)):
            self.verdict = "above" if interval.low > 0.5 else "below" if interval.high < 0.5 else None


def test_an_evaluation_that_its_rule_does_not_end_early_says_so_and_has_the_ordinary_interval():
    result = Evaluate(devset=rows(4), metric=lambda e, p, trace=None: 1, stop_when=decided(min=0.9))(lambda n: n)
    assert result.n == 4
    assert result.stopped.after == 4
    assert result.interval == mean_interval([1, 1, 1, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"timeout": 0}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"repeats": 0}, "repeats"),
        ({"repeats": True}, "repeats"),
        ({"keep": "some"}, "keep"),
        ({"stop_when": 0.85}, "stop_when"),
    ],
)
def test_options_that_mean_nothing_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        Evaluate(devset=rows(1), metric=passes, **options)


class TestOneLoop:
    """What is async alone runs in one event loop, wherever the evaluation is called from."""

    def loops(self, evaluate):
        seen = set()

        async def program(n):
            seen.add(asyncio.get_running_loop())
            await asyncio.sleep(0)
            return Prediction(ok=True)

        class Async(Module):
            async def aforward(self, n):
                return await program(n)

        async def metric(example, prediction, trace=None):
            seen.add(asyncio.get_running_loop())
            return True

        assert evaluate(Evaluate(devset=rows(6), metric=metric, num_threads=3), program).mean == 1
        assert evaluate(Evaluate(devset=rows(6), metric=passes, num_threads=3), Async()).mean == 1
        return len(seen)

    def test_called_without_a_loop(self):
        assert self.loops(lambda evaluate, program: evaluate(program)) == 2

    def test_called_sync_inside_of_a_running_loop_as_in_a_notebook(self):
        async def notebook():
            return self.loops(lambda evaluate, program: evaluate(program))

        assert asyncio.run(notebook()) == 2

    def test_a_sync_program_and_a_running_loop(self):
        async def notebook():
            return Evaluate(devset=rows(6), metric=passes, num_threads=3)(lambda n: Prediction(ok=True))

        assert asyncio.run(notebook()).mean == 1
