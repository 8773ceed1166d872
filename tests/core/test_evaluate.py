"""Evaluate: concurrent, complete, and honest about errors."""

import asyncio
import csv
import json
import threading
import time

import pytest

from dspex_core import (
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
    exact_match,
)


def rows(count):
    return [Example(n=n, double=2 * n).with_inputs("n") for n in range(count)]


class Double(Module):
    """Doubles its input, but fails on those in `bad`."""

    def __init__(self, bad=()):
        self.bad = set(bad)

    def forward(self, n):
        if n in self.bad:
            raise ZeroDivisionError(f"cannot double {n}")
        return Prediction(double=2 * n)


def run(how, evaluate, program):
    return evaluate(program) if how == "sync" else asyncio.run(evaluate.acall(program))


both = pytest.mark.parametrize("how", ["sync", "async"])


@both
def test_cases_come_in_the_order_of_the_dataset(how):
    class Uneven(Double):
        def forward(self, n):
            time.sleep(0.002 * (5 - n))
            return super().forward(n)

    result = run(how, Evaluate(devset=rows(5), metric=exact_match("double"), num_threads=5), Uneven())
    assert [case.example.n for case in result.cases] == [0, 1, 2, 3, 4]
    assert (result.mean, result.score, len(result)) == (1.0, 100.0, 5)


@both
def test_examples_run_at_the_same_time(how):
    barrier = threading.Barrier(4, timeout=20)

    class Meets(Double):
        def forward(self, n):
            barrier.wait()
            return super().forward(n)

    assert not run(how, Evaluate(devset=rows(4), metric=exact_match("double"), num_threads=4), Meets()).errors


@both
def test_a_failed_example_counts_as_zero_and_is_recorded_with_its_phase(how):
    def metric(example, prediction, trace=None):
        if example.n == 3:
            raise KeyError("a bug of the metric")
        return prediction.double == example.double

    result = run(how, Evaluate(devset=rows(10), metric=metric), Double(bad=[1]))
    assert result.mean == 0.8
    assert [(case.example.n, case.error.phase, type(case.error.error)) for case in result.errors] == [
        (1, "program", ZeroDivisionError),
        (3, "metric", KeyError),
    ]
    assert "cannot double 1" in result.errors[0].error.traceback
    assert result.results[3][1] == Prediction(double=6)


@both
def test_too_many_errors_stop_the_evaluation_and_keep_what_was_done(how):
    evaluate = Evaluate(devset=rows(200), metric=exact_match("double"), num_threads=1, max_errors=2)
    with pytest.raises(EvaluationError, match="ZeroDivisionError") as caught:
        run(how, evaluate, Double(bad=[2, 3, 4]))
    assert [case.example.n for case in caught.value.result.cases] == [0, 1, 2, 3, 4]


def test_a_failure_score_other_than_zero_can_be_set():
    evaluate = Evaluate(devset=rows(2), metric=exact_match("double"), failure_score=0.5)
    assert evaluate(Double(bad=[0])).mean == 0.75


def test_an_async_metric_is_awaited():
    async def metric(example, prediction, trace=None):
        await asyncio.sleep(0)
        return Score(0.25, "meh")

    for how in ("sync", "async"):
        result = run(how, Evaluate(devset=rows(3), metric=metric), Double())
        assert result.mean == 0.25
        assert result.cases[0].score.feedback == "meh"


@both
def test_each_case_knows_its_tokens_and_its_time(how):
    lm = ScriptedLM(lambda _: {"answer": "one two"})
    devset = [Example(question="q", answer="one two").with_inputs("question")] * 2
    with context(lm=lm):
        result = run(how, Evaluate(devset=devset, metric=exact_match("answer")), Predict("question -> answer"))
    assert [case.usage.calls for case in result.cases] == [1, 1]
    assert all(case.usage.total.completion_tokens > 0 and case.latency > 0 for case in result.cases)


@both
def test_what_one_example_sets_does_not_reach_the_next(how):
    seen = []

    class Leaky(Double):
        def forward(self, n):
            from dspex_core import configure, settings

            seen.append(settings.max_errors)
            configure(max_errors=n + 1000)  # inside a context this is the context's own
            return super().forward(n)

        async def aforward(self, n):
            return self.forward(n)

    with context(max_errors=7):
        run(how, Evaluate(devset=rows(5), metric=exact_match("double"), num_threads=1), Leaky())
    assert seen == [7] * 5


def test_a_failure_that_no_program_may_swallow_is_raised_as_it_is():
    class Stop(BaseException):
        pass

    class Stopping(Double):
        async def aforward(self, n):
            raise Stop

    with pytest.raises(Stop):
        asyncio.run(Evaluate(devset=rows(3), metric=exact_match("double")).acall(Stopping()))


def test_without_a_metric_it_says_so_instead_of_scoring_zero():
    with pytest.raises(ConfigurationError, match="metric"):
        Evaluate(devset=rows(1))(Double())


def test_a_plain_function_can_be_evaluated():
    result = Evaluate(devset=rows(3), metric=exact_match("double"))(lambda n: Prediction(double=2 * n))
    assert result >= 1.0


def test_an_interrupt_ends_it_at_once():
    started = []

    class Interrupted(Double):
        def forward(self, n):
            started.append(n)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Evaluate(devset=rows(1000), metric=exact_match("double"), num_threads=2)(Interrupted())
    assert len(started) <= 2


class TestResult:
    def result(self):
        return Evaluate(devset=rows(4), metric=exact_match("double"))(Double(bad=[3]))

    def test_it_compares_by_its_mean(self):
        result = self.result()
        assert result >= 0.75
        assert result > 0.7
        assert result <= 0.75
        assert result < 0.8
        assert not result >= 0.8

    def test_a_threshold_in_percent_is_refused(self):
        with pytest.raises(ValueError, match=r"write 0\.85"):
            _ = self.result() >= 85

    def test_its_interval_holds_its_mean(self):
        interval = self.result().interval
        assert interval.low < 0.75 < interval.high

    def test_it_shows_metric_mean_n_and_errors(self):
        assert repr(self.result()) == "EvaluationResult(exact_match: 0.750, n=4, 1 errors)"


def test_progress_goes_to_stderr(capsys):
    Evaluate(devset=rows(3), metric=exact_match("double"), display_progress=True)(Double())
    captured = capsys.readouterr()
    assert "3/3" in captured.err
    assert captured.out == ""


class TestFiles:
    @pytest.fixture
    def saved(self, tmp_path):
        def save(program, **options):
            evaluate = Evaluate(
                devset=rows(2),
                metric=exact_match("double"),
                save_as_csv=tmp_path / "cases.csv",
                save_as_json=tmp_path / "cases.json",
                **options,
            )
            evaluate(program)

        save.folder = tmp_path
        return save

    def test_a_row_has_the_example_the_prediction_and_the_score(self, saved):
        saved(Double())

        assert json.loads((saved.folder / "cases.json").read_text()) == [
            {"n": 0, "example_double": 0, "pred_double": 0, "exact_match": 1.0},
            {"n": 1, "example_double": 2, "pred_double": 2, "exact_match": 1.0},
        ]
        with (saved.folder / "cases.csv").open(newline="") as file:
            assert list(csv.DictReader(file))[1] == {
                "n": "1",
                "example_double": "2",
                "pred_double": "2",
                "exact_match": "1.0",
            }

    def test_of_what_failed_it_has_the_error(self, saved):
        saved(Double(bad=[1]))

        [_, failed] = json.loads((saved.folder / "cases.json").read_text())
        assert failed == {
            "n": 1,
            "double": 2,
            "error": "program failed: ZeroDivisionError: cannot double 1",
            "exact_match": 0.0,
        }
        assert "cannot double 1" in (saved.folder / "cases.csv").read_text()

    def test_what_was_done_is_written_when_too_much_fails(self, saved):
        with pytest.raises(EvaluationError):
            saved(Double(bad=[1]), max_errors=0, num_threads=1)

        assert len(json.loads((saved.folder / "cases.json").read_text())) == 2

    def test_a_prediction_that_is_no_record(self, tmp_path):
        path = tmp_path / "cases.json"
        Evaluate(devset=rows(1), metric=lambda example, found: found == 0, save_as_json=path)(lambda n: n)

        assert json.loads(path.read_text()) == [{"n": 0, "double": 0, "prediction": 0, "<lambda>": 1.0}]


@both
@pytest.mark.parametrize("devset", [[], (), iter(())])
def test_an_empty_devset_is_an_error_that_says_so(how, devset):
    with pytest.raises(ConfigurationError, match="the devset is empty"):
        run(how, Evaluate(devset=devset, metric=exact_match("double")), Double())


def test_a_devset_may_be_any_iterable_and_be_used_twice():
    evaluate = Evaluate(devset=(row for row in rows(3)), metric=exact_match("double"))

    assert [len(evaluate(Double())) for _ in range(2)] == [3, 3]


@pytest.mark.parametrize("row", ["n", None, (1, 2), 7])
def test_a_row_that_is_not_an_example_is_named(row):
    with pytest.raises(ConfigurationError, match="row 2 of the devset is not an Example but"):
        Evaluate(devset=[*rows(1), row], metric=exact_match("double"))(Double())


def test_examples_of_another_library_can_be_evaluated():
    class Foreign:
        def inputs(self):
            return {"n": 2}

        def items(self):
            return [("n", 2)]

    result = Evaluate(devset=[*rows(1), Foreign()], metric=lambda example, found: True)(Double())
    assert result.results[1][1].double == 4
