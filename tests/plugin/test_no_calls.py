"""Tests that name a program and pass without an LM call: the summary says which."""

import json

import pytest

SUITE = """
    import re
    from functools import lru_cache

    import pytest
    from dspex_core import Prediction
    from pytest_dspex import program

    @program
    def intent(question):
        return Prediction(answer=re.findall(r"Say (\\w+)", question)[0])

    ROWS = [{"id": word, "question": f"Say {word}"} for word in ("red", "blue")]

    @pytest.mark.dspex_data(ROWS, inputs=["question"], program="intent")
    def test_regex(prediction, score):
        score("right", prediction.answer in ("red", "blue"))

    @pytest.mark.dspex_data(ROWS, inputs=["question"])
    def test_constant(example, score):
        score("right", True)

    def test_mock(qa, monkeypatch):
        monkeypatch.setattr(type(qa), "__call__", lambda self, **inputs: Prediction(answer="red"))
        assert qa(question="?").answer == "red"

    def test_asks(qa):
        assert qa(question="Say red").answer == "red"

    def test_plain():
        pass

    @pytest.mark.dspex_data(ROWS, inputs=["question"])
    def test_rows(example):
        assert example.question

    def test_scripted(qa, scripted_lm):
        pass

    @pytest.fixture(scope="module")
    def answers(qa):
        return [qa(question="Say red").answer]

    @pytest.mark.parametrize("place", [0, -1])
    def test_shared(answers, place):
        assert answers[place] == "red"

    def test_fails(qa):
        assert False
"""


@pytest.fixture
def suite(project, alone):
    project.test(SUITE)
    alone("--dspex-record=new").assert_outcomes(passed=12, failed=1)
    return project


def test_the_summary_and_the_reports_name_passed_tests_without_a_call(suite, run):
    result = run("--dspex-report=json:run.json", "--deselect=test_it.py::test_fails")

    assert result.ret == pytest.ExitCode.OK
    lines = [line for line in result.outlines if "made no LM call" in line]
    said = "passed and made no LM call (a constant, a mock, a cache of your own?):"
    assert lines == [
        f"2 tests of `intent` {said} test_it.py::test_regex[red], test_it.py::test_regex[blue]",
        f"2 tests of `test_constant` {said} test_it.py::test_constant[red], test_it.py::test_constant[blue]",
        f"1 test of `qa` {said} test_it.py::test_mock",
    ]
    report = json.loads((suite.path / "run.json").read_text())
    marked = [case["id"] for each in report["suites"] for case in each["cases"] if case["message"]]
    assert len(marked) == 5
    assert set(lines) <= set(report["notes"])


@pytest.mark.parametrize("way", ["flag", "ini"])
def test_it_can_be_a_failure(suite, alone, pytester, way):
    if way == "ini":
        pytester.makeini("[pytest]\ndspex_no_calls = fail")
    options = ["--dspex-no-calls=fail"] if way == "flag" else []

    assert alone("-k", "constant", *options).ret == pytest.ExitCode.TESTS_FAILED
    assert alone("-k", "asks or plain or rows", *options).ret == pytest.ExitCode.OK


def test_a_wrong_value_is_a_usage_error(project, pytester, alone):
    project.test("def test_it(): pass")
    pytester.makeini("[pytest]\ndspex_no_calls = maybe")

    result = alone()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "the ini key dspex_no_calls is 'maybe'" in result.stderr.str()
