"""What can be done with a result: files, tables, slices, comparison, another metric."""

import asyncio
import csv
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dspex_core import (
    ArtifactError,
    ConfigurationError,
    Evaluate,
    EvaluationResult,
    Example,
    Predict,
    Prediction,
    Score,
    ScriptedLM,
    context,
)

LANGUAGES = ["de", "de", "fr", None]


def rows():
    return [
        Example(n=n, language=language, tags=["all", "even" if n % 2 == 0 else "odd"])
        .with_inputs("n")
        .with_id(f"row {n}")
        for n, language in enumerate(LANGUAGES)
    ]


def metric(example, prediction, trace=None):
    return Score(float(prediction.found == 2 * example.n), feedback=f"for {example.n}", details={"seen": example.n})


def program(n):
    if n == 3:
        raise ZeroDivisionError("no threes")
    return Prediction(found=2 * n if n else 7)


@pytest.fixture
def result():
    return Evaluate(devset=rows(), metric=metric, num_threads=1)(program)


def shown(result):
    return [
        (c.index, c.example, c.example.id, c.prediction, c.score, str(c.error), c.usage, c.trace) for c in result.cases
    ]


class TestFiles:
    @pytest.mark.parametrize("suffix", ["json", "jsonl"])
    @pytest.mark.parametrize("options", [{}, {"repeats": 2}, {"keep": "failures"}])
    def test_a_saved_result_is_loaded_as_it_was(self, suffix, options, tmp_path):
        path = tmp_path / f"run.{suffix}"
        with context(lm=ScriptedLM(lambda _: {"found": 2})):
            evaluate = Evaluate(devset=rows(), metric=metric, **options)
            before = evaluate(Predict("n: int -> found: int"))
        before.save(path)

        after = EvaluationResult.load(path)

        assert shown(after) == shown(before)
        assert (after.mean, after.interval, after.metric, repr(after)) == (
            before.mean,
            before.interval,
            before.metric,
            repr(before),
        )

    def test_a_csv_has_a_row_for_each_case(self, result, tmp_path):
        result.save(tmp_path / "run.csv")
        with (tmp_path / "run.csv").open(newline="") as file:
            found = list(csv.DictReader(file))
        assert [row["id"] for row in found] == ["row 0", "row 1", "row 2", "row 3"]
        assert (found[1]["found"], found[1]["metric"], found[1]["feedback"]) == ("2", "1.0", "for 1")
        assert (found[3]["phase"], found[3]["error"]) == ("program", "program failed: ZeroDivisionError: no threes")

    def test_a_parquet_file_and_a_data_frame_hold_the_same(self, result, tmp_path):
        parquet = pytest.importorskip("pyarrow.parquet")
        result.save(tmp_path / "run.parquet")
        table = parquet.read_table(tmp_path / "run.parquet").to_pylist()
        frame = result.to_pandas()
        assert [row["found"] for row in table] == [7, 2, 4, None]
        assert list(frame.columns) == list(table[0])
        assert frame["metric"].tolist() == [0.0, 1.0, 1.0, 0.0]

    def test_columns_of_one_name_lose_nothing(self, tmp_path):
        row = Example(id="a", error="e", metric=0.3, found="gold", index=9).with_inputs("index")
        result = Evaluate(devset=[row], metric=metric)(lambda index: Prediction(found=1, cost=2, metric=3))
        [record] = result.to_pandas().to_dict("records")
        assert {
            name: record[name] for name in ("id", "example_id", "example_error", "example_metric", "example_index")
        } == {
            "id": "a",
            "example_id": "a",
            "example_error": "e",
            "example_metric": 0.3,
            "example_index": 9,
        }
        assert (record["example_found"], record["pred_found"], record["pred_cost"], record["pred_metric"]) == (
            "gold",
            1,
            2,
            3,
        )

    @pytest.mark.parametrize("name", ["run.xlsx", "run", "run.txt"])
    def test_another_format_is_refused(self, result, name, tmp_path):
        with pytest.raises(ConfigurationError, match=r"saved as \.csv, \.json, \.jsonl, \.parquet"):
            result.save(tmp_path / name)

    @pytest.mark.parametrize(
        "content", ["", "{}", "[]", "null", "{", '{"dspex": "evaluation", "version": 1}\n', "1\n2"]
    )
    @pytest.mark.parametrize("suffix", ["json", "jsonl"])
    def test_a_file_that_is_not_a_result_is_named(self, content, suffix, tmp_path):
        path = tmp_path / f"run.{suffix}"
        path.write_text(content)
        with pytest.raises(ArtifactError, match=f"run.{suffix}"):
            EvaluationResult.load(path)

    def test_a_file_that_lacks_cases_is_damaged(self, result, tmp_path):
        path = tmp_path / "run.jsonl"
        result.save(path)
        path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
        with pytest.raises(ArtifactError, match="it has 3 of its 4 cases"):
            EvaluationResult.load(path)

    def test_a_table_is_not_loaded(self, result, tmp_path):
        result.save(tmp_path / "run.csv")
        with pytest.raises(ArtifactError, match=r"only \.json and \.jsonl"):
            EvaluationResult.load(tmp_path / "run.csv")

    def test_a_file_that_cannot_be_written_is_named(self, result, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(ArtifactError, match="cannot be written"):
            result.save(tmp_path / "file" / "run.json")


class Unfriendly:
    def __str__(self):
        raise RuntimeError

    __repr__ = __str__


def cyclic():
    value = []
    value.append({"again": value})
    return value


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


ODD = {
    "a surrogate": "\ud800 x",
    "NUL": "a\0b",
    "a huge int": 10**5000,
    "beyond 64 bits": 2**70,
    "cyclic": cyclic(),
    "deep": deep(),
    "NaN": math.nan,
    "infinity": -math.inf,
    "bytes": b"\xff",
    "an object": Unfriendly(),
    "a class": Unfriendly,
    "a formula": "=1+1",
    "line ends": "a\r\nb\u2028c\x85d",
    "keys": {1: 2, (1, 2): 3, "\udfff": None},
    "a generator": (n for n in ()),
    "an error": ValueError(Unfriendly()),
}


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl", "parquet"])
@pytest.mark.parametrize("kind", ODD)
def test_no_value_makes_saving_fail(kind, suffix, tmp_path):
    odd = ODD[kind]
    devset = [Example(n=n, given=odd).with_inputs("n") for n in range(2)]
    result = Evaluate(devset=devset, metric=lambda e, p, trace=None: 1, journal=tmp_path / "journal.jsonl")(
        lambda n: Prediction(found=odd if n else "plain")
    )
    assert not result.errors
    result.save(tmp_path / f"run.{suffix}")
    assert (tmp_path / f"run.{suffix}").stat().st_size
    if suffix in ("json", "jsonl"):
        assert len(EvaluationResult.load(tmp_path / f"run.{suffix}").cases) == 2


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=6,
)


@given(found=st.lists(st.tuples(values, st.text()), min_size=1, max_size=3))
@settings(deadline=None, max_examples=50)
def test_pythons_own_values_come_back_from_a_file(found, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "run.jsonl"
    devset = [Example(n=n, given=text).with_inputs("n") for n, (_, text) in enumerate(found)]
    before = Evaluate(devset=devset, metric=lambda e, p, trace=None: 0.5)(lambda n: Prediction(found=found[n][0]))
    before.save(path)
    assert repr(shown(EvaluationResult.load(path))) == repr(shown(before))


class TestSlices:
    def test_by_a_field(self, result):
        found = result.by("language")
        assert [(one.name, one.n, one.mean, one.errors) for one in found] == [
            ("de", 2, 0.5, 0),
            ("fr", 1, 1, 0),
            ("null", 1, 0, 1),
        ]
        assert found["de"].interval.low < 0.5 < found["de"].interval.high
        assert "de" in str(found)
        assert found.to_json()[0]["n"] == 2

    def test_by_tags(self, result):
        assert {one.name: one.n for one in result.by("tags")} == {"all": 4, "even": 2, "odd": 2}

    def test_by_a_function(self, result):
        assert {one.name: one.mean for one in result.by(lambda example: example.n > 1)} == {"false": 0.5, "true": 0.5}

    def test_numbers_come_by_size(self):
        devset = [Example(n=n).with_inputs("n") for n in (10, 9, 100)]
        found = Evaluate(devset=devset, metric=lambda e, p, trace=None: 1)(lambda n: n).by("n")
        assert [one.name for one in found] == ["9", "10", "100"]

    def test_attempts_are_one_example(self):
        result = Evaluate(devset=rows()[:3], metric=metric, repeats=5)(program)
        assert [(one.n, one.mean) for one in result.by("language")] == [(2, 0.5), (1, 1)]

    def test_a_field_that_no_example_has_is_refused(self, result):
        with pytest.raises(ConfigurationError, match="no example has the field 'lang'; there are: n, language, tags"):
            result.by("lang")

    def test_a_value_that_no_example_has_is_refused(self, result):
        with pytest.raises(ConfigurationError, match="no example has language = 'it'; there are: 'de', 'fr', 'null'"):
            result.by("language")["it"]


class TestRejudge:
    @pytest.mark.parametrize("how", ["sync", "async metric", "async", "async metric in a loop"])
    def test_predictions_are_scored_anew_and_errors_of_the_program_stay(self, result, how):
        def strict(example, prediction, trace=None):
            if example.n == 1:
                raise KeyError("a bug")
            return 0.25

        async def asynchronous(example, prediction, trace=None):
            await asyncio.sleep(0)
            return strict(example, prediction)

        async def inside():
            return await result.arejudge(asynchronous)

        again = {
            "sync": lambda: result.rejudge(strict),
            "async metric": lambda: result.rejudge(asynchronous),
            "async": lambda: asyncio.run(result.arejudge(strict)),
            "async metric in a loop": lambda: asyncio.run(inside()),
        }[how]()

        assert [case.score.value for case in again.cases] == [0.25, 0, 0.25, 0]
        assert [case.error and case.error.phase for case in again.cases] == [None, "metric", None, "program"]
        assert again.metric in ("strict", "asynchronous")
        assert [case.score.value for case in result.cases] == [0, 1, 1, 0]

    def test_a_bug_of_the_metric_can_be_mended(self):
        def broken(example, prediction, trace=None):
            raise KeyError

        result = Evaluate(devset=rows()[:3], metric=broken)(program)
        assert [case.score.value for case in result.rejudge(metric).cases] == [0, 1, 1]
        assert not result.rejudge(metric).errors

    def test_a_loaded_result_is_judged_without_its_program(self, result, tmp_path):
        result.save(tmp_path / "run.json")
        assert EvaluationResult.load(tmp_path / "run.json").rejudge(metric).mean == result.mean


def test_results_are_compared_by_example(result):
    better = Evaluate(devset=rows(), metric=metric, repeats=2)(lambda n: Prediction(found=2 * n))
    found = result.compare(better)
    assert (found.before, found.after, found.gained) == (0.5, 1, ("row 0", "row 3"))


def test_a_table_has_a_line_for_each_case(result):
    table = result.to_table(2)
    assert "language" in table
    assert "and 2 more" in table


def test_details_of_scores_come_back(result, tmp_path):
    result.save(tmp_path / "run.json")
    details = [case.score.details for case in EvaluationResult.load(tmp_path / "run.json").cases]
    assert details == [{"seen": 0}, {"seen": 1}, {"seen": 2}, {}]
    assert json.loads((tmp_path / "run.json").read_text())["mean"] == 0.5
