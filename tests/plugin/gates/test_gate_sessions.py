"""Gates in whole sessions: from the decorators, flags, recordings and parameters to what the session says."""

import json

import pytest

MODELS = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.parametrize("model", ["good", "bad"])
    @pytest.mark.dspex_gate("accuracy", min=0.5)
    def test_qa(example, model, score):
        score("accuracy", model == "good" or example.answer == "a")
"""
CALLS = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("calls", max={calls})
    @pytest.mark.dspex_gate("latency", max=60, stat="p95")
    @pytest.mark.dspex_gate("cost", max=1, stat="sum")
    def test_qa(example, prediction):
        assert prediction.answer == example.answer
"""


def test_each_model_has_a_gate_and_the_summary_compares_them(project, run):
    project.rows("a", "b", "c", "d")
    project.test(MODELS)
    result = run("-v")
    assert result.ret == 1
    result.stdout.re_match_lines_random(
        [
            r".*PASSED.*\[gate-accuracy-model=good\].*|.*\[gate-accuracy-model=good\] PASSED.*",
            r"test_it\.py::test_qa\[gate-accuracy-model=bad\] failed: accuracy 0\.25 .*",
            r"test_it\.py::test_qa accuracy: model=good 1, model=bad 0\.25, n=4, p=0\.25",
        ]
    )


def test_gates_are_reported_in_the_order_of_the_decorators(project, alone):
    project.rows("a")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("first", min=0)
        @pytest.mark.dspex_gate("second", min=0)
        def test_qa(example, score):
            score("second", 1)
            score("first", 1)
        """
    )
    lines = [line for line in alone("-v").outlines if "[gate-" in line and "PASSED" in line]
    assert [line.partition("[gate-")[2].partition("]")[0] for line in lines] == ["first", "second"]


def test_the_node_id_of_a_gate_runs_its_test(project, run):
    project.rows("a", "b", "c", "d")
    project.test(MODELS)
    result = run("test_it.py::test_qa[gate-accuracy-model=bad]", "./test_it.py::test_qa[gate-accuracy-model=good]")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines(
        ["test_it.py::test_qa[[]gate-accuracy-model=bad[]]: decided on all cases of its test, which run"]
    )


@pytest.mark.parametrize("label", ["gate-acuracy", "repeat-3/5", "pass@1"])
def test_the_node_id_of_a_verdict_that_a_test_does_not_have_ends_in_one_message(project, alone, label):
    project.rows("a")
    project.test(MODELS)
    result = alone(f"test_it.py::test_qa[{label}]")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    known = "'gate-accuracy-model=good', 'gate-accuracy-model=bad'"
    lines = [line for line in result.outlines if line.startswith("ERROR")]
    assert lines == [f"ERROR: test_it.py::test_qa has no verdict {label!r}; it has: {known}"]


def test_a_gate_of_a_test_that_is_not_there_is_not_found(project, alone):
    project.rows("a")
    project.test(MODELS)
    result = alone("test_it.py::test_no[gate-accuracy]")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: not found: *::test_no"])


def test_a_row_may_have_the_id_of_a_gate(project, alone):
    (project.path / "data.jsonl").write_text('{"id": "gate-accuracy", "question": "?"}\n')
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("accuracy", min=0.5)
        def test_qa(example, score):
            score("accuracy", 0)
        """
    )
    result = alone()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["test_it.py::test_qa[[]gate-accuracy#2] failed: accuracy 0 *"])


def test_what_calls_took_is_that_of_the_recording(project, alone):
    project.rows("a", "b")
    project.test(CALLS.format(calls=1))
    assert alone("--dspex-record=new").parseoutcomes()["passed"] == 4  # the price of the model is not known
    assert project.cassette().read_text().count('"latency"') == 2
    result = alone("-rs")
    assert (result.ret, result.parseoutcomes()) == (0, {"passed": 4, "skipped": 1})
    result.stdout.fnmatch_lines(["SKIPPED *not evaluated: the cost of 2 cases is not known*price of the model*"])
    project.test(CALLS.format(calls=0))
    result = alone()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*[[]gate-calls] failed: calls 1 * > 0, n=2"])


def test_recordings_without_a_gate_on_latency_hold_none(project, alone):
    project.rows("a")
    project.test()
    alone("--dspex-record=new")
    assert "latency" not in project.cassette().read_text()


@pytest.mark.parametrize("place", ["flag", "ini"])
def test_gates_outside_the_code_are_for_each_test_that_records_the_score(pytester, alone, place):
    pytester.makepyfile(
        test_one="def test_a(score): score('accuracy', 0)\n\ndef test_b(score): score('f1', 0)\n\ndef test_c(): pass",
        test_two="def test_d(score): score('accuracy', 1)",
    )
    if place == "ini":
        pytester.makeini("[pytest]\ndspex_gates =\n    accuracy >= 0.5\n    nothing >= 0.5\n")
    result = alone(*(["--dspex-gate=accuracy >= 0.5"] if place == "flag" else []))
    assert result.ret == 1
    assert result.parseoutcomes() == {"passed": 5, "failed": 1}
    result.stdout.fnmatch_lines(["test_one.py::test_a[[]gate-accuracy] failed: accuracy 0 *"])
    if place == "ini":
        result.stdout.fnmatch_lines(["the ini key dspex_gates has a gate on 'nothing', which no test *"])


@pytest.mark.parametrize(("args", "status"), [((), 1), (("-k", "test_a"), 0), (("test_it.py",), 0)])
def test_on_ci_a_gate_of_the_ini_file_that_no_test_records_fails_a_run_of_all_tests(
    pytester, run, monkeypatch, args, status
):
    monkeypatch.setenv("CI", "1")
    pytester.makeini("[pytest]\ndspex_gates =\n    acuracy >= 0.5\n")
    pytester.makepyfile(test_it="def test_a(score): score('accuracy', 1)\n\ndef test_b(score): score('accuracy', 1)")

    result = run(*args)

    assert result.ret == status
    result.stdout.fnmatch_lines(["the ini key dspex_gates has a gate on 'acuracy', which no test *"])


def test_an_inconclusive_drop_may_be_made_to_fail(project, alone):
    rows = [{"id": f"c{n}", "question": "?"} for n in range(20)]
    (project.path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project.test(
        """
        from pathlib import Path

        import pytest

        LOST = Path(__file__).with_name("lost")

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("accuracy", max_drop=0.02)
        def test_qa(example, score):
            score("accuracy", not (LOST.exists() and example.id in ("c1", "c2")))
        """
    )
    assert alone("--dspex-update-baseline").ret == 0
    (project.path / "lost").touch()
    result = alone("-rs")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["SKIPPED *inconclusive: accuracy 1 -> 0.9: drop 0.1 > 0.02, n=20, 2 worse, *"])
    result = alone("--dspex-inconclusive=fail")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["inconclusive: accuracy 1 -> 0.9*", "  c1: 0*", "  c2: 0*"])
