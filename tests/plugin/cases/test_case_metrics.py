"""`dspex_data(metrics=[...])`: metrics computed with the predictions, ahead of the tests, as scores."""

import json

import pytest


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


JUDGED = """
    import pytest
    from dspex_core import Predict, Score, exact_match

    def judge(example, prediction, trace=None):
        verdict = Predict("question, given -> answer")(question="Say " + example.verdict, given=prediction.answer)
        return Score(verdict.answer == "good", "said " + verdict.answer)

    async def length(example, prediction, trace=None):
        return len(prediction.answer) / 10

    ROWS = [
        {"id": "row-1", "question": "Say red", "answer": "red", "verdict": "good"},
        {"id": "row-2", "question": "Say blue", "answer": "green", "verdict": "bad"},
    ]

    @pytest.mark.dspex_data(ROWS, inputs=["question"], metrics=[exact_match("answer"), judge, length])
    @pytest.mark.dspex_gate("exact_match", min=0.5)
    @pytest.mark.dspex_gate("judge", min=0.6)
    def test_qa():
        pass
"""


def test_metrics_are_recorded_as_scores_with_their_feedback(project, run):
    project.test(JUDGED)
    result = run("--dspex-record=new")
    assert outcomes(result) == {"passed": 3, "failed": 1}
    result.stdout.fnmatch_lines(["judge 0.5 * < 0.6, n=2", "*row-2: 0  said bad"])
    result.stdout.fnmatch_lines_random(["*exact_match*passed", "*length * 0.35 *"])


def test_calls_of_metrics_are_in_the_cassette_of_their_case(project, alone):
    project.test(JUDGED)
    alone("--dspex-record=new")
    cases = [entry["case"] for entry in project.entries()]
    project.forget_calls()
    assert sorted(cases) == ["row-1", "row-1", "row-2", "row-2"]
    assert outcomes(alone()) == {"passed": 3, "failed": 1}
    assert project.calls == []


def test_a_metric_that_is_not_recorded_is_a_miss_of_its_case(project, alone):
    project.test(JUDGED)
    alone("--dspex-record=new")
    project.test(JUDGED.replace('"Say " +', '"Please say " +'))
    result = alone()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.calls.count("Say good") == 1
    result.stdout.fnmatch_lines(["*not in its cassette*"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return 1 / 0", "the metric 'broken' raised ZeroDivisionError: division by zero"),
        ("return None", "the metric 'broken' raised ValueError: a metric must return a finite number"),
        ("return float('nan')", "the metric 'broken' raised ValueError: "),
        ("return 'good'", "the metric 'broken' raised ValueError: "),
        ("raise AssertionError('no')", "the metric 'broken' raised AssertionError: no"),
    ],
)
def test_a_metric_that_raises_is_an_error_that_names_it(project, alone, body, message):
    project.rows("red", "blue")
    project.test(
        f"""
        import pytest

        def broken(example, prediction, trace=None):
            if example.answer == "blue":
                {body}
            return 1

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], metrics=[broken])
        @pytest.mark.dspex_gate("broken", min=0.9)
        def test_qa(prediction):
            pass
        """
    )
    result = alone("--dspex-live")
    assert outcomes(result) == {"passed": 1, "errors": 1, "failed": 1}
    assert message in result.stdout.str()
    assert body in result.stdout.str() or not body.startswith(("return 1", "raise"))  # the line that the user can mend
    result.stdout.fnmatch_lines(["broken 0.5 * < 0.9, n=2, errors=1 (counted as 0)"])
    result.stdout.no_fnmatch_line("*pytest_dspex/running/*")


@pytest.mark.parametrize(
    "body",
    ['score("right", 1); score("right", 1)', 'score("exact_match", 1)', 'score("right", 1); score("right", 0)'],
)
def test_a_score_that_is_recorded_twice_is_an_error(project, run, body):
    project.rows("red")
    project.test(
        f"""
        import pytest
        from dspex_core import exact_match

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], metrics=[exact_match("answer")])
        def test_qa(prediction, score):
            {body}
        """
    )
    result = run("--dspex-live")
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["*the score '*' is recorded twice in test_it.py::test_qa, case 'c-red'*"])


def test_metrics_of_one_name_are_one_message(project, alone):
    project.rows("red")
    source = """
        import pytest
        from dspex_core import exact_match

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], metrics={})
        def test_qa(prediction):
            pass
    """
    project.test(source.format('[exact_match("answer"), exact_match("question")]'))
    result = alone()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*two metrics with the name 'exact_match'; name their scores: metrics={'name': *"])

    project.test(source.format('{"one": exact_match("answer"), "two": exact_match("answer")}'))
    alone("--dspex-live").stdout.fnmatch_lines(["* one *", "* two *"])


MEETING = """
    import threading

    import pytest
    from dspex_core import BaseLM, LMOutput, LMResponse, Predict
    from pytest_dspex import program

    # Nobody gets past them alone: they open when as many wait as may run at once.
    MEETING = threading.Barrier(4, timeout=30)

    class QuickLM(BaseLM):
        def complete(self, request):
            return LMResponse((LMOutput("[[ ## answer ## ]]\\nyes"),), model=self.model)

    @pytest.fixture(scope="session")
    def lm():
        return QuickLM("test/quick")

    @program
    def qa():
        return Predict("question -> answer")
"""


def test_metrics_of_several_cases_run_at_once(project, alone):
    project.conftest(MEETING)
    (project.path / "pytest.ini").write_text("[pytest]\ndspex_concurrency = 4\n")
    project.rows(*(f"w{number}" for number in range(8)))
    project.test(
        """
        import pytest
        from conftest import MEETING

        def judge(example, prediction, trace=None):
            return MEETING.wait() >= 0

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"], metrics=[judge])
        @pytest.mark.dspex_gate("judge", min=1)
        def test_qa(prediction):
            pass
        """
    )
    assert outcomes(alone("--dspex-live")) == {"passed": 9}


def test_dash_x_asks_only_for_as_many_ahead_as_have_passed(project, alone):
    project.rows("silent", *(f"w{number}" for number in range(40)))
    project.test()
    assert outcomes(alone("--dspex-live", "-x")) == {"errors": 1}
    assert set(project.calls) == {"Say silent"}


COMBINED = """
    import pytest
    from dspex_core import all_of, at_least, exact_match, f1, json_match

    ROWS = [
        {"id": "row-1", "question": "Say red", "answer": "red"},
        {"id": "row-2", "question": "Say blue", "answer": "dark blue"},
    ]
    METRICS = [all_of(exact_match("answer"), at_least(f1("answer"), 0.5)), f1("answer")]

    @pytest.mark.dspex_data(ROWS, inputs=["question"], metrics=METRICS)
    @pytest.mark.dspex_gate("all_of(exact_match,at_least(f1,0.5))", min=0.5)
    @pytest.mark.dspex_gate("f1", min=0.9)
    def test_qa(score):
        score("shape", json_match("a")({"a": {"x": 1}}, {"a": {"x": 2}}))
"""


def test_combined_metrics_have_gates_and_details_in_the_reports(project, alone):
    project.test(COMBINED)
    alone("--dspex-record=new")
    result = alone("--dspex-gate=all_of(exact_match,at_least(f1,0.5)) <= 0.5", "--dspex-report=json:r.json,md:r.md")
    result.stdout.fnmatch_lines_random(["*all_of(exact_match,at_least(f1,0.5)) *0.50 *>= 0.5*", "*f1 *< 0.9, n=2"])
    [suite] = json.loads((project.path / "r.json").read_text())["suites"]
    scores = suite["cases"][1]["scores"]
    name = "all_of(exact_match,at_least(f1,0.5))"
    assert scores[name]["details"] == {"exact_match": 0.0, "at_least(f1,0.5)": 1.0}
    assert scores["f1"]["details"] == {"precision": 1.0, "recall": 0.5}
    assert scores["shape"]["details"]["wrong"] == ["x"]
    assert "precision 1, recall 0.5" in (project.path / "r.md").read_text()
