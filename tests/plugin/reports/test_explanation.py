"""A failed gate shows its lowest cases and the command that runs them again; `--lf` selects them."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest

SUITE = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("accuracy", min=0.95)
    def test_qa(example, score):
        score("accuracy", example.answer != "low", f"got {example.answer}")

    @pytest.mark.parametrize("n", [1, 2])
    def test_other(n): pass
"""
ODD = ("e[1] it's", 'e "two"; $HOME', "ünï *", "a::b", "-x")


@pytest.fixture
def suite(project):
    """Cases with odd ids that score low, and others that do not."""

    def write(low=ODD, high=("h1", "h2"), folder="apps/one"):
        rows = [{"id": name, "question": f"Say {name}", "answer": "low"} for name in low]
        rows += [{"id": name, "question": "Say high", "answer": "high"} for name in high]
        path = project.path / folder
        path.mkdir(parents=True, exist_ok=True)
        (path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        project.test(SUITE, name=f"{folder}/test_it")
        return path

    (project.path / "pytest.ini").write_text("[pytest]\n")
    return write


def command_in(result):
    lines = result.outlines
    return lines[lines.index("Run them again:") + 1].strip()


def pasted(command, folder):
    """Run a command as a shell does, with this Python's pytest, and return the node ids that it ran."""
    command = f"{shlex.quote(sys.executable)} -m {command} -v -p no:cacheprovider"
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    return sorted(re.findall(r"^(\S.*?) PASSED", done.stdout, re.MULTILINE))


def test_the_lowest_cases_show_what_they_asked_expected_and_got(project, alone):
    project.rows("red", "blue")
    project.test(SUITE.replace("example, score", "example, prediction, score").replace('!= "low"', '== "red"'))
    result = alone("--dspex-record=new")
    result.stdout.fnmatch_lines(
        [
            "accuracy 0.5 *< 0.95, n=2",
            "  c-blue: 0  got blue",
            "    inputs:   question: Say blue",
            "    expected: id: c-blue; answer: blue",
            "    got:      answer: blue",
            "Run them again:",
            "  pytest 'test_it.py::test_qa[[]c-blue[]]'",
        ]
    )


def test_the_command_runs_exactly_the_lowest_cases_from_where_the_session_was_started(
    suite, pytester, alone, monkeypatch
):
    folder = suite()
    monkeypatch.chdir(folder.parent)
    command = command_in(alone("one"))
    ran = pasted(command, folder.parent)
    assert len(ran) == len(ODD)
    assert all("test_qa" in nodeid for nodeid in ran)
    assert not any("[h" in nodeid for nodeid in ran)


def test_many_cases_are_named_in_a_file_that_the_command_reads(suite, project, alone):
    suite(low=[f"low {n}" for n in range(30)])
    result = alone("-vv")
    assert "@" in command_in(result)
    assert len(pasted(command_in(result), project.path)) == 30


def test_five_cases_are_shown_and_all_of_them_with_vv(suite, alone):
    suite(low=[f"low {n}" for n in range(8)])
    result = alone()
    assert len(re.findall(r"^  low \d: 0", result.stdout.str(), re.MULTILINE)) == 5
    result.stdout.fnmatch_lines(["  ... and 3 more *-vv*"])
    failures = alone("-vv").stdout.str().partition("short test summary")[0]
    assert len(re.findall(r"^  low \d: 0", failures, re.MULTILINE)) == 8


def test_lf_selects_the_lowest_cases(suite, alone, on_two_workers):
    suite(low=("low 1", "low 2"))
    assert alone().ret == pytest.ExitCode.TESTS_FAILED
    alone("--lf").assert_outcomes(passed=2, skipped=1)
    assert on_two_workers().ret == pytest.ExitCode.TESTS_FAILED
    alone("--lf").assert_outcomes(passed=2, skipped=1)


def test_without_the_cache_a_gate_still_explains_itself(suite, alone):
    suite()
    assert command_in(alone("-p", "no:cacheprovider")).startswith("pytest ")


def test_the_command_keeps_the_options_that_find_the_same_tests(suite, project, alone):
    folder = suite(low=("low 1",))
    (project.path / "other.ini").write_text("[pytest]\n")
    result = alone("-c", "other.ini", "-o", "dspex_concurrency=2", str(folder))
    assert shlex.split(command_in(result))[:5] == ["pytest", "-c", "other.ini", "-o", "dspex_concurrency=2"]
    assert len(pasted(command_in(result), project.path)) == 1
