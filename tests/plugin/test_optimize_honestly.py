"""`--dspex-optimize`: its path, plan, limits, resumption, and the count of looks at the held-out examples."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

USAGE_ERROR = 4
WORDS = tuple(f"w{number}" for number in range(10))

# Its LM is right by what it sees in the prompt, and notes each call.
CONFTEST = """
    import re
    import time
    from pathlib import Path

    import pytest
    from dspex_core import BaseLM, BootstrapFewShot, LabeledFewShot, LMOutput, LMResponse, Predict, Usage, exact_match
    from pytest_dspex import program

    CALLS, SLOW = Path(__file__).with_name("calls.txt"), Path(__file__).with_name("slow.txt")
    CALLS.touch()

    class OwnLM(BaseLM):
        def complete(self, request):
            word = re.findall(r"Say (\\w+)", request.messages[-1].content)[-1]
            demos = len(request.messages) // 2 - 1
            if SLOW.exists() and len(CALLS.read_text().splitlines()) >= int(SLOW.read_text()):
                time.sleep(60)
            with CALLS.open("a") as calls:
                calls.write(f"{demos} {word}\\n")
            answer = f"[[ ## answer ## ]]\\n{word if RULE else 'wrong'}"
            return LMResponse((LMOutput(answer, "stop"),), model=self.model, usage=Usage(90, 10), cost=0.01)

    @pytest.fixture(scope="session")
    def lm():
        return OwnLM("test/own", max_tokens=50)

    @program(optimizer=OPTIMIZER, metric=exact_match("answer"), trainset="train.jsonl", valset="val.jsonl")
    def qa():
        return Predict("question -> answer")
"""

TEST = """
    import pytest

    @pytest.mark.dspex_data("test.jsonl", inputs=["question"])
    def test_qa(example, prediction):
        assert prediction.answer == example.answer
"""


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


@pytest.fixture
def suite(project):
    def write(rule="demos > 0", *, optimizer="LabeledFewShot(4)", more=""):
        project.conftest(CONFTEST.replace("RULE", rule).replace("OPTIMIZER", optimizer), more=more)
        project.rows(*(f"t{number}" for number in range(6)), name="train.jsonl")
        project.rows("v0", "v1", name="val.jsonl")
        project.rows(*WORDS, name="test.jsonl")
        project.test(TEST)
        project.artifact = project.path / "artifacts" / "qa.json"
        project.beside = project.path / "artifacts" / "qa.held-out.json"
        return project

    return write


def looks(path):
    content = json.loads(path.read_text())
    found = content["provenance"]["held_out"] if "provenance" in content else content["state"]
    return list(found["looks"].values())


# Paths and names


@pytest.mark.parametrize("arguments", [["tests/"], ["tests/test_own.py"], ["tests/test_own.py::test_own"]])
def test_a_path_behind_the_option_is_run_and_not_taken_for_a_name(suite, alone, arguments):
    project = suite()
    project.test(TEST.replace("test_qa", "test_top"))
    (project.path / "tests").mkdir()
    (project.path / "tests" / "conftest.py").write_text("")
    (project.path / "tests" / "test_own.py").write_text(
        'import pytest\n\n@pytest.mark.dspex_data("../test.jsonl", inputs=["question"])\n'
        "def test_own(example, prediction):\n    assert prediction.answer == example.answer\n"
    )
    result = alone("--dspex-live", "--dspex-optimize", *arguments)
    assert result.ret == 0, result.stdout.str()
    assert outcomes(result) == {"passed": 11}
    result.stdout.no_fnmatch_line("*test_top*")


def test_the_option_may_stand_in_the_configuration_before_a_path(suite, alone):
    project = suite()
    (project.path / "pytest.ini").write_text("[pytest]\naddopts = --dspex-live --dspex-optimize\n")
    assert outcomes(alone("test_it.py")) == {"passed": 11}
    assert outcomes(alone("--dspex-optimize=qa", "test_it.py")) == {"passed": 11}


# The plan and the limits


def test_the_plan_shows_the_most_that_it_takes_and_runs_nothing(suite, run):
    project = suite(optimizer="BootstrapFewShot(exact_match('answer'))")
    result = run("--dspex-live", "--dspex-optimize", "--dspex-plan")
    assert result.ret == 0
    assert project.calls == []
    assert not project.artifact.parent.exists()
    assert "test_qa" not in result.stdout.str()
    result.stdout.re_match_lines([r"optimize qa: plan: at most 26 LM calls, \d+ tokens, at a price that is not known"])


def test_a_run_stays_below_its_plan(suite, alone):
    project = suite("demos > 0 or word[0] == 't'", optimizer="BootstrapFewShot(exact_match('answer'))")
    assert alone("--dspex-live", "--dspex-optimize=qa", "-k", "test_qa").ret == 0
    recompiling = [call for call in project.calls if call != ""]
    assert 20 < len(recompiling) <= 26 + len(WORDS)


def test_an_optimizer_that_makes_no_plan_says_so(suite, alone):
    own = "class Own(LabeledFewShot):\n    def plan(self, student, trainset, valset):\n        return None\n\n@program("
    project = suite(optimizer="Own(4)")
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("@program(", own, 1))
    result = alone("--dspex-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*plan: at most 20 LM calls*", "*without Own, which does not say how often it asks*"])


@pytest.mark.parametrize(
    ("limit", "most"), [("--dspex-max-calls=15", 15), ("--dspex-max-usd=0.12", 12), ("--dspex-max-calls=5", 5)]
)
def test_a_run_beyond_its_limit_stores_nothing_and_goes_on_with_a_larger_one(suite, alone, limit, most):
    project = suite()
    result = alone("--dspex-live", "--dspex-optimize", limit, "-x")
    assert result.ret == 1
    assert most - 8 <= len(project.calls) <= most + 8  # those under way when it ran out
    assert not project.artifact.exists()
    option = limit.partition("=")[0]
    result.stdout.fnmatch_lines([f"BudgetExceededError: {option} is spent (*finished calls are not asked again"])
    paid = len(project.calls)
    assert alone("--dspex-live", "--dspex-optimize", "--dspex-max-calls=20").ret == 0
    assert len(project.calls) <= 20 + len(WORDS)
    assert len(set(project.calls)) == 20
    assert paid > 0


@pytest.mark.parametrize("option", ["--dspex-max-calls=-1", "--dspex-max-usd=nan", "--dspex-max-usd=inf"])
def test_a_limit_that_is_no_number_is_a_usage_error(suite, alone, option):
    suite()
    result = alone("--dspex-optimize", option)
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {option.partition('=')[0]} is *; give a number that is not negative"])


def test_a_limit_without_anything_to_limit_is_a_usage_error(suite, alone):
    suite()
    result = alone("--dspex-max-calls=3")
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --dspex-max-calls and --dspex-max-usd limit --dspex-optimize: *"])


# Interrupted runs


@pytest.mark.parametrize("has_cache", [True, False])
def test_a_killed_run_goes_on_without_asking_again(suite, has_cache):
    project = suite()
    (project.path / "slow.txt").write_text("13")
    options = [] if has_cache else ["-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "--dspex-live", "--dspex-optimize", *options]
    running = subprocess.Popen(command, cwd=project.path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and len(project.calls) < 13:
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert len(project.calls) >= 13
    (project.path / "slow.txt").unlink()
    done = subprocess.run(command, cwd=project.path, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stdout
    assert "continuing an interrupted run: " in done.stdout
    assert len(project.calls) <= 20 + len(WORDS) + 1  # one was under way, and the tests ask the winner
    left = [path.name for path in project.path.rglob("optimize-qa*")]
    assert left == []


# Looks at the held-out examples


def test_each_look_counts_and_the_artifact_keeps_the_count(suite, alone):
    project = suite("demos > 0 and word not in ('w0', 'w1')")
    options = ("--dspex-live", "--dspex-optimize")
    result = alone(*options)
    result.stdout.fnmatch_lines(["optimize qa: improved: *", "*its 10 held-out examples have been consulted once;*"])
    assert looks(project.artifact) == [1]
    state = json.loads(project.artifact.read_text())["state"]
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("LabeledFewShot(4)", "LabeledFewShot(3)"))
    result = alone(*options)
    result.stdout.fnmatch_lines(["optimize qa: not better: *", "*consulted 2 times; *"])
    assert looks(project.artifact) == [2]
    assert json.loads(project.artifact.read_text())["state"] == state
    project.rows(*WORDS[1:], name="test.jsonl")
    alone(*options)
    assert looks(project.artifact) == [2, 1]


def test_looks_count_before_there_is_an_artifact(suite, alone):
    project = suite("True")
    for count in (1, 2):
        assert alone("--dspex-live", "--dspex-optimize").ret == 0
        assert looks(project.beside) == [count]
    assert not project.artifact.exists()
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("if True", "if demos > 0"))
    assert alone("--dspex-live", "--dspex-optimize").ret == 0
    assert looks(project.artifact) == [3]
    assert not project.beside.exists()


def test_a_gain_that_may_be_chance_is_not_taken(suite, alone):
    project = suite("demos > 0 or word not in ('w0', 'w1', 'w2')")
    result = alone("--dspex-live", "--dspex-optimize")
    assert not project.artifact.exists()
    result.stdout.fnmatch_lines(
        [
            "optimize qa: not better: incumbent 0.700, candidate 1.000 (*3 gained, 0 lost, p=0.250)",
            "*optimize qa: the gain may be chance: p=0.250, and after the first look at these 10 held-out examples p *",
        ]
    )


def test_a_gain_that_is_enough_at_the_first_look_is_not_after_many(suite, alone):
    project = suite("True")
    for _ in range(3):
        alone("--dspex-live", "--dspex-optimize")
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("if True", "if demos > 0 or word in ('w0', 'w1', 'w2', 'w3')"))
    result = alone("--dspex-live", "--dspex-optimize")
    assert not project.artifact.exists()
    result.stdout.fnmatch_lines(["*the gain may be chance: p=0.031, and after 4 looks at these 10 held-out examples *"])


def test_a_check_writes_nothing(suite, alone):
    project = suite()
    before = {path.name for path in project.path.iterdir()}
    result = alone("--dspex-live", "--dspex-optimize-check", "-p", "no:cacheprovider")
    assert not project.artifact.parent.exists()
    assert {path.name for path in project.path.iterdir()} - before <= {"__pycache__", "calls.txt", ".dspex"}
    result.stdout.fnmatch_lines(["optimize qa: improved: *", "*nothing was written (--dspex-optimize-check)"])


# What it says


def test_the_prompts_and_what_to_record_next_are_shown(suite, alone):
    suite()
    result = alone("--dspex-live", "--dspex-optimize")
    result.stdout.fnmatch_lines(
        [
            "optimize qa: improved: *",
            "optimize qa:   self",
            "optimize qa:   + demo: question='Say t*",
            "*: record the new answers with `pytest --dspex-record=all test_it.py`; commit artifacts/qa.json *",
        ]
    )


def test_a_recording_run_says_what_to_commit(suite, alone):
    suite()
    result = alone("--dspex-record=new", "--dspex-optimize")
    result.stdout.fnmatch_lines(["optimize qa: commit artifacts/qa.json and the cassettes; the cassette optimize-qa*"])
    assert outcomes(alone()) == {"passed": 10}
