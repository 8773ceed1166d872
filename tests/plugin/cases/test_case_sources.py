"""Where the cases of a test come from: data of any form, several datasets, a selection, own parameters."""

import json
import textwrap

import pytest


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


def passed(result):
    """Return the names of the tests that passed, without their module."""
    lines = (line.split(" ")[0] for line in result.stdout.lines if " PASSED" in line)
    return [line.partition("::")[2] for line in lines]


@pytest.fixture
def refuse(project, pytester):
    """Run a test in this process and check that it ends with one message, and without a traceback of the library."""

    def check(source, message, *, status):
        project.test(source)
        result = pytester.runpytest_inprocess("--dspex-live")
        output = result.stdout.str() + result.stderr.str()
        assert result.ret == status, output
        assert message in output
        assert "INTERNALERROR" not in output
        assert "Traceback" not in output
        assert project.calls == []

    return check


SOURCES = """
    import pytest
    from dspex_core import Example

    ROWS = [{"question": "Say red", "answer": "red"}, {"question": "Say blue", "answer": "blue"}]

    def rows():
        yield from ROWS

    class Frame:
        columns = ("question", "answer")

        def to_dict(self, orient):
            return ROWS

    @pytest.mark.dspex_data(ROWS, inputs=["question"])
    def test_dicts(example, prediction):
        assert prediction.answer == example.answer

    @pytest.mark.dspex_data([Example(row).with_inputs("question") for row in ROWS])
    def test_examples(example, prediction):
        assert prediction.answer == example.answer

    GENERATOR = rows()

    @pytest.mark.dspex_data(GENERATOR, inputs=["question"])
    def test_generator(example, prediction):
        assert prediction.answer == example.answer

    @pytest.mark.dspex_data(GENERATOR, inputs=["question"], where={"answer": "red"})
    def test_generator_again(example, prediction):
        assert prediction.answer == "red"

    @pytest.mark.dspex_data(rows, inputs=["question"])
    def test_function(example, prediction):
        assert prediction.answer == example.answer

    @pytest.mark.dspex_data(Frame(), inputs=["question"])
    def test_frame(example, prediction):
        assert prediction.answer == example.answer

    @pytest.mark.dspex_data({"train": [], "test": ROWS}, split="test", inputs=["question"])
    def test_splits(example, prediction):
        assert prediction.answer == example.answer

    def test_evaluate(qa, evaluate):
        for devset in (ROWS, rows, rows(), Frame()):
            assert evaluate(qa, devset, metric=lambda example, prediction: prediction.answer == example.answer) >= 1
"""


def test_rows_come_from_data_of_any_form(project, run):
    project.test(SOURCES)
    assert outcomes(run("--dspex-live")) == {"passed": 14}


def test_a_table_with_another_delimiter(project, alone):
    (project.path / "data.txt").write_text("id^question^answer\na^Say red^red\n")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.txt", inputs=["question"], delimiter="^")
        def test_qa(example, prediction):
            assert prediction.answer == example.answer
        """
    )
    assert passed(alone("--dspex-live", "-v")) == ["test_qa[a]"]


def test_rows_are_checked_against_a_signature(project, alone):
    (project.path / "data.csv").write_text("question,n,answer\nSay a,1,a\nSay b,many,b\nSay c,none,c\n")
    source = """
        import pytest

        @pytest.mark.dspex_data("data.csv", signature="question, n: int -> answer", name="data")
        def test_qa(example):
            assert example.input_keys == {"question", "n"}
        """
    project.test(source)
    result = alone("--dspex-live")
    output = result.stdout.str()
    assert result.ret == 2
    assert "data.csv: has 2 rows that cannot be used" in output
    assert "data.csv:3: row 2 has a value of the input 'n' that is not" in output
    assert "data.csv:4: row 3 has a value" in output
    (project.path / "data.csv").write_text("question,n,answer\nSay a,1,a\n")
    assert outcomes(alone()) == {"passed": 1}
    project.test(source.replace("question, n: int -> answer", "question, n: int"))
    assert "signature='question, n: int' of the dataset 'data': " in alone().stdout.str()


def test_rows_of_a_parquet_file_and_of_a_folder(project, alone):
    parquet = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    (project.path / "rows").mkdir()
    for name in ("a", "b"):
        table = pa.table({"id": [name], "question": [f"Say {name}"], "answer": [name]})
        parquet.write_table(table, project.path / "rows" / f"part-{name}.parquet")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("rows", inputs=["question"], name="folder")
        @pytest.mark.dspex_data("rows/part-a.parquet", inputs=["question"], name="file")
        def test_qa(example, prediction):
            assert prediction.answer == example.answer
        """
    )
    assert outcomes(alone("--dspex-live")) == {"passed": 3}


# Which rows


CHOSEN = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"], {})
    def test_qa(example):
        pass
"""


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ('where={"answer": "w1"}', ["c-w1"]),
        ('where={"answer": ["w1", "w3", "other"]}', ["c-w1", "c-w3"]),
        ('where=lambda row: row.answer > "w5"', ["c-w6", "c-w7", "c-w8", "c-w9"]),
        ('where={"answer": ["w1", "w3"], "id": "c-w3"}', ["c-w3"]),
        ("sample=10", [f"c-w{number}" for number in range(10)]),
    ],
)
def test_where_and_sample_choose_rows(project, alone, options, names):
    project.rows(*(f"w{number}" for number in range(10)))
    project.test(CHOSEN.format(options))
    assert passed(alone("-v")) == [f"test_qa[{name}]" for name in names]


def test_where_compares_the_texts_of_a_table_with_numbers(project, alone):
    (project.path / "data.csv").write_text("id,question,n\na,Say a,1\nb,Say b,2\n")
    project.test(CHOSEN.replace("data.jsonl", "data.csv").format('where={"n": 2}'))
    assert passed(alone("-v")) == ["test_qa[b]"]


def test_a_sample_depends_on_its_seed_and_hardly_on_the_other_rows(project, alone):
    words = [f"w{number}" for number in range(40)]

    def sample(options, *more):
        project.rows(*words, *more)
        project.test(CHOSEN.format(options))
        return passed(alone("-v"))

    first = sample("sample=10")
    assert len(first) == 10
    assert first == sample("sample=0.25") == sample("sample=10, seed=0")
    assert first != sample("sample=10, seed=1")
    assert len({*sample("sample=10", "new")} - {*first}) <= 1


@pytest.mark.parametrize(
    ("options", "message", "status"),
    [
        ('where={"answer": "x"}', "where={'answer': 'x'} leaves no row of the dataset 'data'", 2),
        ('where={"colour": "red"}', "where= names the column 'colour', which no row has", 2),
        ("where=lambda row: row.colour", "where= raised AttributeError", 2),
        ("sample=3", "sample=3 asks for more than the 2 rows", 2),
        ('split="dev"', "has no rows of the split 'dev'", 2),
        ('delimiter=";"', "a .jsonl file has no delimiter", 2),
        ("sample=0", "has sample=0; a number of rows is positive", 4),
        ("sample=1.5", "has sample=1.5; a number of rows is positive, a part is below 1.0", 4),
        ('sample="all"', "has sample='all'; it needs how many rows", 4),
        ("seed=None, where=5", "has where=5; it needs a function of a row", 4),
        ("split=1", "has split=1; it needs the name of a split", 4),
        ("name=1", "has name=1; it needs a text", 4),
        ("metrics=5", "has metrics=5; give it a list of metrics", 4),
        ("metrics=[5]", "has the metric 5, which cannot be called", 4),
    ],
)
def test_a_selection_that_is_wrong_is_one_message(project, refuse, options, message, status):
    project.rows("red", "blue")
    refuse(CHOSEN.format(options), message, status=status)


@pytest.mark.parametrize(
    ("data", "message", "status"),
    [
        ("[]", "the dataset has no rows", 2),
        ("5", "a dataset is a path, a list of rows, a DataFrame", 2),
        ("[1]", "row 1 is not an object of named fields but 1", 2),
        ("iter([])", "the dataset has no rows", 2),
        ('[{"text": "a"}]', "row 1 lacks the input 'question'", 2),
        ("lambda: 1 / 0", "ZeroDivisionError", 2),
        ('lambda: [{"question": next(COUNT)}]', "gives other rows each time it is called", 2),
        ('[{"question": "a"}], [{"question": "b"}]', "give it one, the path of the dataset or its rows", 4),
    ],
)
def test_data_that_is_wrong_is_one_message(refuse, data, message, status):
    source = f"""
        import itertools

        import pytest

        COUNT = itertools.count()

        @pytest.mark.dspex_data({data}, inputs=["question"])
        def test_qa(example):
            pass
    """
    refuse(source, message, status=status)


def test_examples_without_inputs_are_one_message(refuse):
    source = """
        import pytest

        @pytest.mark.dspex_data([{"id": "r1", "question": "Say red"}])
        def test_qa(example, prediction):
            pass
    """
    refuse(source, "the inputs of the row 'r1' are not known: name them, inputs=", status=2)


def test_workers_that_have_other_rows_are_found(project, pytester):
    project.test(
        """
        import os

        import pytest

        @pytest.mark.dspex_data([{"question": os.environ["PYTEST_XDIST_WORKER"]}] * 1, inputs=["question"])
        def test_qa(example):
            pass
        """
    )
    result = pytester.runpytest_subprocess("-n", "2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["ERROR: test_it.py::test_qa: its dataset has other rows in each process*"])


# Marks of rows


def test_columns_of_a_row_are_its_marks(project, run):
    rows = [
        {"id": "a", "question": "Say a", "tags": ["fast", "smoke test"]},
        {"id": "b", "question": "Say b", "tags": "slow, fast"},
        {"id": "c", "question": "Say c", "skip": "needs a key"},
        {"id": "d", "question": "Say d", "xfail": True},
        {"id": "e", "question": "Say e", "xfail": "false", "skip": ""},
    ]
    (project.path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example):
            assert example.id != "d"
        """
    )
    result = run("--strict-markers", "-rs", "-W", "error")
    assert outcomes(result) == {"passed": 3, "skipped": 1, "xfailed": 1}
    result.stdout.fnmatch_lines(["SKIPPED*needs a key"])


@pytest.mark.parametrize(("expression", "names"), [("fast", ["a", "b"]), ("fast and not slow", ["a"]), ("s_t", ["a"])])
def test_tags_select_rows(project, alone, expression, names):
    (project.path / "data.csv").write_text('id,question,tags\na,Say a,"fast, s t"\nb,Say b,slow;fast\nc,Say c,\n')
    project.test(CHOSEN.replace("data.jsonl", "data.csv").format(""))
    assert passed(alone("-v", "-m", expression)) == [f"test_qa[{name}]" for name in names]


def test_columns_that_are_inputs_are_not_marks(project, alone):
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data([{"skip": True, "tags": 5, "xfail": "yes"}], inputs=["skip", "tags", "xfail"])
        def test_qa(example):
            pass
        """
    )
    assert outcomes(alone()) == {"passed": 1}


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"tags": ["skip"]}, "the row 'r1' has the tag 'skip', which is a marker of its own: use the column 'skip'"),
        ({"tags": ["parametrize"]}, "has the tag 'parametrize', which is a marker of its own: give it another name"),
        ({"tags": 5}, "the column 'tags' of the row 'r1' must be a list of texts, not 5"),
        ({"skip": [1]}, "the column 'skip' of the row 'r1' must be true, false, or a reason, not [1]"),
        ({"xfail": 7}, "the column 'xfail' of the row 'r1' must be true, false, or a reason, not 7"),
    ],
)
def test_marks_that_a_row_cannot_have_are_one_message(project, refuse, column, message):
    (project.path / "data.jsonl").write_text(json.dumps({"id": "r1", "question": "Say a", **column}))
    refuse(CHOSEN.format(""), message, status=2)


# Several datasets


def test_several_datasets_add_up(project, run):
    project.rows("red", "blue")
    project.rows("green", name="more.jsonl")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_data("more.jsonl", inputs=["question"])
        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], where={"answer": "red"}, name="again")
        @pytest.mark.dspex_gate("right", min=1)
        def test_qa(example, prediction, score):
            score("right", prediction.answer == example.answer)
        """
    )
    assert outcomes(run("--dspex-record=new")) == {"passed": 5}
    assert {entry["case"] for entry in project.entries()} == {
        "data-c-red",
        "data-c-blue",
        "more-c-green",
        "again-c-red",
    }
    project.forget_calls()
    assert outcomes(run()) == {"passed": 5}
    assert project.calls == []


def test_two_datasets_with_one_name_are_one_message(project, refuse):
    project.rows("red")
    source = """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example):
            pass
    """
    refuse(source, "test_it.py::test_qa has two datasets with the name 'data'", status=4)


def test_a_marker_on_a_unittest_is_an_error(project, refuse):
    project.rows("red")
    source = """
        import unittest

        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        class TestQA(unittest.TestCase):
            def test_qa(self):
                pass
    """
    refuse(source, "dspex_data, which has no effect on methods of a unittest.TestCase", status=4)


# Parameters in place of a dataset


@pytest.mark.parametrize(
    "parameters",
    [
        '"question, answer", [("Say red", "red"), ("Say blue", "blue")]',
        '"example", [{"question": f"Say {answer}", "answer": answer} for answer in ("red", "blue")]',
        '"example", [Example(question=f"Say {it}", answer=it).with_inputs("question") for it in ("red", "blue")]',
    ],
)
def test_parameters_of_a_test_are_the_programs_inputs(project, run, parameters):
    project.test(
        f"""
        import pytest
        from dspex_core import Example

        @pytest.mark.parametrize("style", ["short", "long"])
        @pytest.mark.parametrize({parameters})
        def test_qa({parameters.split('"')[1]}, request, prediction, style):
            params = request.node.callspec.params
            assert prediction.answer == params.get("example", params)["answer"]
        """
    )
    assert outcomes(run("--dspex-record=new")) == {"passed": 4}
    project.forget_calls()
    assert outcomes(run()) == {"passed": 4}
    assert project.calls == []


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            '"text", ["Say red"]',
            "none of its parameters, 'text', is an input of the program; its inputs are: 'question'",
        ),
        ('"qa", ["Say red"]', "the fixture 'qa' must be the program of `prediction`, and is 'Say red'"),
        ('"example", [1]', "its parameter `example` is 1: it must be an Example or a dict"),
    ],
)
def test_parameters_that_are_no_inputs_are_one_message(project, alone, parameters, message):
    project.test(
        f"""
        import pytest

        @pytest.mark.parametrize({parameters})
        def test_qa({parameters.split('"')[1]}, prediction):
            pass
        """
    )
    result = alone("--dspex-live")
    assert result.ret in {1, 4}
    assert message in result.stdout.str() + result.stderr.str()
    assert project.calls == []


def test_null_is_an_input_as_any_other(project, alone):
    conftest = textwrap.dedent(
        """
        from dspex_core import ScriptedLM, Predict
        from pytest_dspex import program
        import pytest

        @pytest.fixture(scope="session")
        def lm():
            return ScriptedLM(lambda request: {"answer": "none" if "None" in str(request) else "some"})

        @program
        def qa():
            return Predict("question: str | None -> answer")

        @program
        def strict():
            return Predict("question -> answer")
        """
    )
    project.conftest(conftest)
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data([{"question": None}], inputs=["question"], program="qa")
        def test_qa(prediction):
            assert prediction.answer in {"none", "some"}

        @pytest.mark.dspex_data([{"question": None}], inputs=["question"], program="strict")
        def test_strict(prediction):
            assert prediction.answer in {"none", "some"}
        """
    )
    result = alone()
    assert outcomes(result) == {"passed": 2}
