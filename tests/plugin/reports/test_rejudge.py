"""`--dspex-rejudge` decides again from the outputs of an earlier session."""

import pytest

TEST = """
    from dspex_core import Signature, OutputField, InputField

    class Typed(Signature):
        question: str = InputField()
        answer: str = OutputField()

    @program
    def typed():
        return Predict("question -> answer: list[int]")
"""

TEST = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"], program="qa")
    @pytest.mark.dspex_gate("accuracy", min=0.9)
    def test_qa(example, prediction, score):
        score("accuracy", METRIC)
"""
STRICT = TEST.replace("METRIC", "prediction.answer == example.answer.upper()")
LENIENT = TEST.replace("METRIC", "prediction.answer.upper() == example.answer.upper()")


@pytest.fixture
def judged(project, alone):
    """A session whose metric was too strict, and its report; the recordings are gone."""
    project.rows("red", "blue")
    project.test(STRICT)
    assert alone("--dspex-record=new", "--dspex-report=json:run.json").ret == pytest.ExitCode.TESTS_FAILED
    project.cassette().unlink()
    project.forget_calls()
    return project


def test_another_metric_decides_on_the_recorded_outputs_and_no_lm_is_asked(judged, run):
    judged.test(LENIENT)
    result = run("--dspex-rejudge=run.json")
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=3)
    assert judged.calls == []


def test_the_same_metric_decides_as_before(judged, alone):
    result = alone("--dspex-rejudge=run.json", "--dspex-report=json:again.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["accuracy 0 *< 0.9, n=2"])


def test_a_case_that_the_report_does_not_have_fails(judged, alone):
    judged.test(LENIENT)
    judged.rows("red", "blue", "green")
    result = alone("--dspex-rejudge=run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*run.json has no case test_it.py::test_qa[[]c-green[]]; *"])
    assert judged.calls == []


def test_a_case_whose_row_has_other_inputs_now_fails(judged, alone):
    judged.test(LENIENT)
    rows = (judged.path / "data.jsonl").read_text().replace("Say red", "Say red again")
    (judged.path / "data.jsonl").write_text(rows)
    result = alone("--dspex-rejudge=run.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*has other inputs for test_it.py::test_qa[[]c-red[]] than its row has now*"])


def test_a_case_that_had_no_output_says_why(project, alone):
    project.rows("red", "broken")
    project.test(LENIENT)
    alone("--dspex-record=new", "--dspex-report=json:run.json")
    project.forget_calls()
    result = alone("--dspex-rejudge=run.json")
    result.stdout.fnmatch_lines(["*has no output of the case *c-broken*, which ended with outcome 'error': *"])
    assert project.calls == []


def test_outputs_have_the_types_of_the_signature(project, alone):
    project.conftest(
        more="""
        from dspex_core import ScriptedLM

        @pytest.fixture(scope="session")
        def lm():
            return ScriptedLM(lambda _: {"answer": [1, 2]})

        @program
        def qa():
            return Predict("question -> answer: set[int]")
        """
    )
    project.rows("red")
    project.test(TEST.replace("METRIC", "prediction.answer == {1, 2}"))
    assert alone("--dspex-live", "--dspex-report=json:run.json").ret == pytest.ExitCode.OK
    assert alone("--dspex-rejudge=run.json").ret == pytest.ExitCode.OK


@pytest.mark.parametrize("text", [None, "", "[]", '{"format": "dspex-report", "version": 9}', '{"a": 1}'])
def test_a_file_that_is_no_report_is_a_usage_error_in_one_line(project, alone, text):
    project.test("def test_it(): pass")
    if text is not None:
        (project.path / "run.json").write_text(text)
    result = alone("--dspex-rejudge=run.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --dspex-rejudge: 'run.json' cannot be read *"])
