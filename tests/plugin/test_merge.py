"""Gates over cases that several sessions split among them, and over those of workers that are lost."""

import json

import pytest

SUITE = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("accuracy", min=0.5)
    def test_qa(example, score):
        score("accuracy", example.answer != "wrong")
"""
CASES = [f"test_it.py::test_qa[c-{name}]" for name in ("a", "b", "wrong", "d")]
USAGE_ERROR = 4


@pytest.fixture
def suite(project):
    project.rows("a", "b", "wrong", "d")
    project.test(SUITE)
    return project


def test_two_sessions_that_split_the_cases_are_decided_over_both(suite, alone):
    for part in (CASES[:1], CASES[1:]):
        result = alone("--dspex-partial=parts", *part)
        assert result.ret == 0
        result.stdout.fnmatch_lines([f"*gate-accuracy* not evaluated: {len(part)}/4 cases: *", "results written to *"])
    result = alone("--dspex-merge=parts")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["test_it.py::test_qa", "*accuracy*0.75*passed", "1 of 1 gates passed, decided over 2 results"]
    )


def test_a_merge_writes_the_reports_that_it_is_asked_for(suite, alone, monkeypatch):
    for part in (CASES[:1], CASES[1:]):
        assert alone("--dspex-partial=parts", *part).ret == 0
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(suite.path / "summary.md"))
    result = alone("--dspex-merge=parts", "--dspex-report=html:all.html,json:all.json,md:all.md")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["html report: *all.html", "json report: *all.json", "md report: *all.md"])
    (written,) = json.loads((suite.path / "all.json").read_text())["suites"]
    assert sorted(case["id"] for case in written["cases"]) == sorted(CASES)
    assert [gate["verdict"] for gate in written["gates"]] == ["OK"]
    for name in ("all.html", "all.md", "summary.md"):
        assert "accuracy" in (suite.path / name).read_text()


def test_a_merge_that_cannot_write_a_report_is_red(suite, alone):
    alone("--dspex-partial=parts")
    (suite.path / "file").write_text("")
    result = alone("--dspex-merge=parts", "--dspex-report=json:file/all.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: --dspex-report: *all.json could not be written *"])
    assert alone("--dspex-merge=parts", "--dspex-report=pdf:x").ret == USAGE_ERROR


def test_files_can_be_named_and_workers_write_them_too(suite, on_two_workers, alone):
    assert on_two_workers("--dspex-partial=one.json", *CASES[:2]).ret == 0
    assert alone("--dspex-partial=two.json", *CASES[2:]).ret == 0
    assert alone("--dspex-merge=one.json", "--dspex-merge=two.json").ret == 0


def test_a_gate_that_both_miss_together_is_red(suite, alone):
    suite.test(SUITE.replace("min=0.5", "min=0.9"))
    for part in (CASES[:2], CASES[2:]):
        assert alone("--dspex-partial=parts", *part).ret == 0
    result = alone("--dspex-merge=parts")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate-accuracy* failed: accuracy 0.75 * < 0.9*", "0 of 1 gates passed*"])


def test_a_missing_case_is_red(suite, alone):
    for part in (CASES[:2], CASES[3:]):
        alone("--dspex-partial=parts", *part)
    result = alone("--dspex-merge=parts")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate-accuracy* failed: 3/4 cases: the others are missing from all results"])


def test_a_case_may_be_there_twice_if_its_results_are_equal(suite, alone):
    for part in (CASES[:3], CASES[1:]):
        alone("--dspex-partial=parts", *part)
    assert alone("--dspex-merge=parts").ret == 0
    (path,) = [each for each in (suite.path / "parts").iterdir() if "c-a" in each.read_text()]
    path.write_text(path.read_text().replace("1.0", "0.5"))
    result = alone("--dspex-merge=parts")
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(["*--dspex-merge: test_it.py::test_qa[[]c-b] has two results, which differ*"])


@pytest.mark.parametrize("change", ["rows", "gate"])
def test_results_of_different_code_are_refused(suite, alone, change):
    alone("--dspex-partial=parts", *CASES[:2])
    if change == "rows":
        suite.rows("a", "b", "wrong", "e")
    else:
        suite.test(SUITE.replace("min=0.5", "min=0.4"))
    alone("--dspex-partial=parts", CASES[2])
    result = alone("--dspex-merge=parts")
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(["*--dspex-merge: test_it.py::test_qa has other cases or gates in another result*"])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "dspex-partial", "version": 2}', "\x00"])
def test_a_file_that_is_not_a_result_is_named(suite, alone, content):
    (suite.path / "odd.json").write_text(content)
    result = alone("--dspex-merge=odd.json")
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(["*--dspex-merge: odd.json is not a result file of --dspex-partial*"])


def test_a_path_where_nothing_is_is_named(suite, alone):
    result = alone("--dspex-merge=nowhere")
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--dspex-merge: there are no results at nowhere; write them first with `pytest --dspex-partial=nowhere`"]
    )


def test_a_result_is_one_whole_file_of_json(suite, alone):
    alone("--dspex-partial=parts/one.json")
    (path,) = (suite.path / "parts").iterdir()
    stored = json.loads(path.read_text())
    assert [case["nodeid"] for case in stored["cases"]] == CASES
    assert stored["functions"]["test_it.py::test_qa"]["cases"] == len(CASES)


LOST = {
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
    "hook": "raise RuntimeError('a bug that shows on workers only')",
}


@pytest.mark.parametrize("how", LOST)
def test_a_gate_is_decided_although_all_workers_are_lost_after_their_last_test(suite, on_two_workers, how, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # of the run around this one
    suite.test(SUITE.replace("min=0.5", "min=0.9"))
    suite.conftest(
        more=f"""
        import os, signal

        def pytest_sessionfinish():
            if os.environ.get("PYTEST_XDIST_WORKER"):
                {LOST[how]}
        """
    )
    result = on_two_workers("--max-worker-restart=0")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate-accuracy* failed: accuracy 0.75 *"])
