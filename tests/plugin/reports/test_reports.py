"""`--dspex-report`, `--dspex-show` and what CI sees, in whole sessions."""

import json
import xml.etree.ElementTree as ET

import pytest
from jsonschema import Draft202012Validator

from pytest_dspex.reports.json_report import schema
from pytest_dspex.reports.rerun import Reruns

SUITE = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("accuracy", min=0.9)
    def test_qa(example, prediction, score):
        score("accuracy", prediction.answer == example.answer, f"wants {example.answer}")
        if example.answer != "red":
            score("brevity", 0.5)
        assert prediction.answer != "blue", "never blue"

    def test_plain(): pass
"""


@pytest.fixture
def recorded(project, alone, monkeypatch):
    """Three cases, of which one scores low and one fails."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    project.rows("red", "blue", "green")
    project.test(SUITE)
    alone("--dspex-record=new")
    rows = (project.path / "data.jsonl").read_text().replace('"answer": "green"', '"answer": "lime"')
    (project.path / "data.jsonl").write_text(rows)
    return project


def json_of(project, name="report.json"):
    return json.loads((project.path / name).read_text())


def test_the_reports_are_written_and_named(recorded, alone):
    result = alone("--dspex-report=html:out/r.html,json:out/r.json", "--dspex-report=md:out/r.md")
    for kind in ("html", "json", "md"):
        result.stdout.fnmatch_lines([f"{kind} report: *r.{kind}"])
        assert (recorded.path / "out" / f"r.{kind}").stat().st_size > 500


def test_the_json_report_holds_what_each_case_asked_and_got_and_follows_the_schema(recorded, alone):
    alone("--dspex-report=json:report.json")
    report = json_of(recorded)
    Draft202012Validator(schema()).validate(report)
    [suite] = [suite for suite in report["suites"] if suite["test"] == "test_it.py::test_qa"]
    assert (suite["file"], suite["line"], suite["n"], suite["passed"], suite["missed"]) == ("test_it.py", 3, 3, 2, 1)
    red, blue, green = suite["cases"]
    assert (green["inputs"], green["expected"], green["got"]) == (
        {"question": "Say green"},
        {"id": "c-green", "answer": "lime"},
        {"answer": "green"},
    )
    assert green["scores"]["accuracy"] == {"value": 0.0, "feedback": "wants lime", "details": {}}
    assert (blue["outcome"], blue["message"]) == ("miss", "AssertionError: never blue")
    [call] = red["calls"]
    assert call["source"] == "replayed"
    assert call["messages"][-1]["content"].startswith("[[ ## question ## ]]\nSay red")
    assert call["reply"] == "[[ ## answer ## ]]\nred"
    [gate] = suite["gates"]
    assert (gate["verdict"], gate["condition"], gate["worst"]) == ("FAIL", ">= 0.9", ["test_it.py::test_qa[c-green]"])
    assert gate["rerun"] == "pytest 'test_it.py::test_qa[c-green]'"
    assert [(score["name"], score["unrecorded"]) for score in suite["scores"]] == [("accuracy", 0), ("brevity", 1)]


def test_the_json_report_is_the_same_for_any_number_of_workers(recorded, alone, on_two_workers):
    alone("--dspex-report=json:alone.json")
    on_two_workers("--dspex-report=json:two.json")
    assert (recorded.path / "alone.json").read_text() == (recorded.path / "two.json").read_text()


def test_the_ini_key_names_reports_too_relative_to_the_root(recorded, alone, monkeypatch):
    (recorded.path / "pytest.ini").write_text("[pytest]\ndspex_report =\n    md:a.md\n    json:b.json\n")
    (recorded.path / "inner").mkdir()
    monkeypatch.chdir(recorded.path / "inner")
    alone("..")
    assert (recorded.path / "a.md").exists()
    assert (recorded.path / "b.json").exists()


@pytest.mark.parametrize("given", ["report.html", "pdf:x", "html:", "html", "json:a,md:a", "html:x,pdf:y", "json:."])
def test_an_option_that_names_no_report_is_a_usage_error(project, alone, given):
    project.test("def test_it(): pass")
    result = alone(f"--dspex-report={given}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--dspex-report*"])
    assert len(result.stderr.str().splitlines()) < 5


def test_a_report_that_cannot_be_written_fails_the_session_in_one_line(project, alone):
    project.rows("red")
    project.test()
    alone("--dspex-record=new")
    (project.path / "file").write_text("")
    result = alone("--dspex-report=json:file/report.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR: --dspex-report: *report.json could not be written*"])


def test_paths_may_hold_commas(recorded, alone):
    alone("--dspex-report=json:a,b.json,md:d.md")
    assert {path.name for path in recorded.path.iterdir()} >= {"a,b.json", "d.md"}


def test_junit_has_a_property_for_each_score_and_the_numbers_of_each_gate(recorded, run):
    run("--junitxml=junit.xml")
    cases = {case.get("name"): case for case in ET.parse(recorded.path / "junit.xml").iter("testcase")}
    found = {each.get("name"): each.get("value") for each in cases["test_qa[c-green]"].iter("property")}
    assert found == {"score:accuracy": "0", "score:brevity": "0.5"}
    gate = {each.get("name"): each.get("value") for each in cases["test_qa[gate-accuracy]"].iter("property")}
    assert (gate["verdict"], gate["mean"], gate["n"]) == ("failed", "0.666667", "3")
    assert list(cases["test_plain"].iter("property")) == []


def test_show_prints_the_prompt_and_the_raw_reply(recorded, run):
    result = run("--dspex-show")
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_qa[[]c-red[]]",
            "  call 1: test/echo, replayed, *",
            "      Say red",
            "    [[]reply[]]",
            "      [[][[] ## answer ## []][]]",
            "      red",
        ]
    )


def test_github_gets_annotations_at_the_test_and_a_summary(recorded, run, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(recorded.path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(recorded.path / "summary.md"))
    (recorded.path / "summary.md").write_text("before\n")
    result = run()
    place = f"file={recorded.path.name}/test_it.py,line=3"
    lines = [line for line in result.outlines if line.startswith("::")]
    assert [line.partition("::test_it.py")[0] for line in lines] == [
        f"::error {place},title=FAIL%3A accuracy >= 0.9",
        f"::error {place},title=1 of 3 cases failed",
    ]
    assert lines[1].endswith("%0Ac-blue: AssertionError: never blue")
    summary = (recorded.path / "summary.md").read_text()
    assert summary.startswith("before\n# pytest-dspex report")
    assert "❌ FAIL" in summary


def test_elsewhere_there_are_no_annotations(recorded, alone):
    assert [line for line in alone().outlines if line.startswith("::")] == []


def test_credentials_are_in_no_report(project, alone, monkeypatch):
    monkeypatch.setenv("SOMEBODYS_API_KEY", 'odd"key-é-0123456789')
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    secrets = ["sk-SECRETKEYabcdefghijklmnop1234567890", 'odd"key-é-0123456789', "ghp_0123456789abcdefghij"]
    rows = [{"id": "r", "question": f"Say {secret}", "answer": {secret: secret}} for secret in secrets]
    (project.path / "data.jsonl").write_text(
        "".join(json.dumps(row | {"id": f"r{n}"}) + "\n" for n, row in enumerate(rows))
    )
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("accuracy", min=0.9)
        def test_qa(example, prediction, score):
            score("accuracy", 0, example.question + " -----BEGIN PRIVATE KEY-----")
            assert False, example.question
        """
    )
    result = alone(
        "--dspex-live", "--dspex-show", "--junitxml=junit.xml", "--dspex-report=html:r.html,json:r.json,md:r.md"
    )
    texts = [(project.path / name).read_text() for name in ("junit.xml", "r.html", "r.json", "r.md")]
    for text in (*texts, result.stdout.str()):
        assert "[secret]" in text or "&#91;secret" in text or "\\[secret\\]" in text
        for secret in secrets:
            assert secret not in text
            assert json.dumps(secret)[1:-1] not in text


def test_slices_repeats_and_the_baseline_are_in_the_report(project, alone):
    project.rows("red", "blue")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("accuracy", min=0.1, by="answer")
        @pytest.mark.dspex_gate("accuracy", max_drop=0.9)
        def test_sliced(example, prediction, score):
            score("accuracy", prediction.answer == example.answer)

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_repeat(2, require="1/2")
        def test_repeated(example, prediction): pass
        """
    )
    alone("--dspex-record=new", "--dspex-update-baseline")
    replies = project.cassette("test_sliced").read_text()
    assert replies.count("]]\\nblue") == 1
    project.cassette("test_sliced").write_text(replies.replace("]]\\nblue", "]]\\nred"))
    alone("--dspex-report=json:report.json")
    suites = {suite["test"].rpartition("::")[2]: suite for suite in json_of(project)["suites"]}
    sliced = suites["test_sliced"]
    assert [(row["column"], row["value"], row["mean"]) for row in sliced["slices"]] == [
        ("answer", "blue", 0.0),
        ("answer", "red", 1.0),
    ]
    assert [case["baseline"]["scores"] for case in sliced["cases"]] == [{"accuracy": 1.0}] * 2
    [change] = [gate for gate in sliced["gates"] if gate["before"] is not None]
    assert (change["before"], change["mean"]) == (1.0, 0.5)
    assert [case["repeat"] for case in suites["test_repeated"]["cases"]] == [1, 2, 1, 2]


def test_a_gate_whose_cases_are_not_recorded_is_not_evaluated(recorded, run):
    recorded.cassette().unlink()
    result = run("--dspex-report=json:report.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED  # for the cases
    result.stdout.fnmatch_lines(
        ["*[[]gate-accuracy[]] not evaluated: 3 of 3 cases made requests that are not recorded"]
    )
    [gate] = [gate for suite in json_of(recorded)["suites"] for gate in suite["gates"]]
    assert gate["verdict"] == "NOT EVALUATED"


def test_the_command_that_runs_many_cases_again_needs_no_room_on_the_disk(tmp_path):
    full = tmp_path / "full"
    full.write_text("no folder")
    command = Reruns(tmp_path, tmp_path, cache=full).command([f"test_it.py::test_{n}" for n in range(30)])
    assert command.count("test_it.py::test_") == 30
    command = Reruns(tmp_path, tmp_path, cache=tmp_path).command([f"test_it.py::test_{n}" for n in range(30)])
    assert command.startswith("pytest @cases-")
