"""`--dspex-optimize`: what becomes of a program, its artifact and the session."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from dspex_core import Predict

USAGE_ERROR = 4
WORDS = tuple(f"w{number}" for number in range(20))

# Its LM is right or wrong by what it sees in the prompt.
CONFTEST = """
    import re
    from pathlib import Path

    import pytest
    from dspex_core import BootstrapFewShotWithRandomSearch, LabeledFewShot, Predict, ScriptedLM, exact_match
    from pytest_dspex import program

    CALLS = Path(__file__).with_name("calls.txt")

    def reply(request):
        word = re.findall(r"Say (\\w+)", request.messages[-1].content)[-1]
        system, demos = request.messages[0].content, len(request.messages) // 2 - 1
        with CALLS.open("a") as calls:
            calls.write(f"{demos} Say {word}\\n")
        return {"answer": word if RULE else "wrong"}

    @pytest.fixture(scope="session")
    def lm():
        return ScriptedLM(reply)

    @program(
        optimizer=OPTIMIZER,
        metric=exact_match("answer"),
        trainset="train.jsonl",
        valset="val.jsonl",
    )
    def qa():
        return Predict("question -> answer")
"""

BETTER_WITH_DEMOS = "demos > 0"
ALWAYS_RIGHT = "True"
RIGHT_WHEN_TOLD = '"carefully" in system'

COUNT_BUILDS = """
    def built():
        with Path(__file__).with_name("built.txt").open("a") as count:
            count.write("x")
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
    """Write a project whose LM follows a rule."""

    def write(rule, *, optimizer="LabeledFewShot(4)", more=""):
        project.conftest(CONFTEST.replace("RULE", rule).replace("OPTIMIZER", optimizer), more=more)
        project.rows(*(f"t{number}" for number in range(8)), name="train.jsonl")
        project.rows("v0", "v1", name="val.jsonl")
        project.rows(*WORDS, name="test.jsonl")
        project.test(TEST)
        return project

    return write


@pytest.fixture
def artifact(project):
    """The stored artifact, and what it holds."""
    return project.path / "artifacts" / "qa.json"


@pytest.fixture
def stored(artifact):
    """Store a program that tells its LM to answer carefully."""

    def store():
        made = Predict("question -> answer")
        made.signature = made.signature.with_instructions("Answer carefully.")
        made.save(artifact)
        return artifact.read_bytes()

    return store


def test_a_plugin_loads_the_datasets_of_a_program(project, artifact, alone):
    conftest = CONFTEST.replace("RULE", BETTER_WITH_DEMOS).replace("OPTIMIZER", "LabeledFewShot(4)")
    project.conftest(
        conftest.replace("train.jsonl", "db:train").replace("val.jsonl", "db:val"),
        more="""
        def pytest_dspex_load_dataset(source):
            if str(source).startswith("db:"):
                words = [f"{source[3:]}{number}" for number in range(8)]
                return [{"id": word, "question": f"Say {word}", "answer": word} for word in words]
        """,
    )
    project.rows(*WORDS, name="test.jsonl")
    project.test(TEST)

    assert outcomes(alone("--dspex-optimize")) == {"passed": 21}
    assert "Say train" in artifact.read_text()
    assert outcomes(alone("--dspex-live")) == {"passed": 20}  # what the artifact keeps of them is not compared


# The three outcomes


def test_a_better_program_is_stored_with_what_it_reached_and_the_tests_run_with_it(suite, artifact, alone):
    suite(BETTER_WITH_DEMOS)
    result = alone("--dspex-optimize", "-v")
    assert result.ret == 0
    assert outcomes(result) == {"passed": 21}
    stored = json.loads(artifact.read_text())
    assert stored["metadata"] == {
        "metric": "exact_match",
        "mean": 1.0,
        "n": 20,
        "scores": {f"c-{word}": 1.0 for word in WORDS},
    }
    result.stdout.fnmatch_lines(
        [
            "optimize qa: scoring the uncompiled program on 20 held-out examples",
            "optimize qa: the uncompiled program: 0.000; compiling with LabeledFewShot(*",
            "optimize qa: improved: incumbent 0.000, candidate 1.000 (exact_match, n=20, 20 gained, 0 lost, p=0.000)",
            "test_it.py::test_qa[[]c-w0] PASSED*",
        ]
    )


def test_an_adapter_and_an_order_that_a_search_found_are_stored_and_used(suite, artifact, alone):
    of_prompts = "__import__('dspex_core.optimizers.search.dimensions', fromlist=['*']).PromptDimensions"
    search = f"""BootstrapFewShotWithRandomSearch(
            exact_match("answer"), max_bootstrapped_demos=0, max_labeled_demos=1, num_candidate_programs=4,
            dimensions={of_prompts}(),
        )"""
    suite('"JSON object" in system', optimizer=search)
    result = alone("--dspex-optimize")
    assert outcomes(result) == {"passed": 21}
    assert json.loads(artifact.read_text())["state"]["adapter"]["kind"] == "JSONAdapter"
    result.stdout.fnmatch_lines(["*+ adapter: JSONAdapter(*"])
    assert outcomes(alone("--dspex-live")) == {"passed": 20}


def test_a_better_program_that_cannot_be_saved_in_its_place_is_saved_elsewhere(suite, artifact, alone):
    suite(BETTER_WITH_DEMOS)
    artifact.parent.write_text("a file where the folder should be")
    result = alone("--dspex-optimize")
    assert result.ret == 1
    [said] = [line for line in result.outlines if "The better program was saved elsewhere" in line]
    saved = Predict("question -> answer")
    saved.load(said.rpartition(" ")[2])
    assert len(saved.demos) == 4


def test_a_program_that_cannot_be_saved_is_named_before_the_lm_is_asked(suite, artifact, alone):
    project = suite(BETTER_WITH_DEMOS)
    conftest = project.path / "conftest.py"
    conftest.write_text(
        conftest.read_text().replace(
            'Predict("question -> answer")', 'Predict("question -> answer", temperature=1e999)'
        )
    )
    result = alone("--dspex-optimize")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*ArtifactError: *only JSON values can be stored*"])
    result.stdout.no_fnmatch_line("*scoring*")


def test_the_program_is_a_visible_item_before_the_tests(suite, alone):
    suite(BETTER_WITH_DEMOS)
    result = alone("--dspex-optimize", "--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line][:2] == [
        "test_it.py::optimize[qa]",
        "test_it.py::test_qa[c-w0]",
    ]


def test_a_program_that_is_not_better_is_dropped(suite, artifact, stored, alone):
    suite(ALWAYS_RIGHT)
    before = stored()
    result = alone("--dspex-optimize")
    assert result.ret == 0
    assert outcomes(result) == {"passed": 21}
    assert artifact.read_bytes() == before
    result.stdout.fnmatch_lines(["optimize qa: not better: incumbent 1.000, candidate 1.000 *"])


def test_a_program_that_never_was_compiled_and_gets_no_better_stays_uncompiled(suite, artifact, alone):
    suite(ALWAYS_RIGHT)
    assert alone("--dspex-optimize").ret == 0
    assert not artifact.exists()


def test_a_regression_keeps_the_artifact_and_fails_naming_every_example_lost(suite, artifact, stored, alone):
    suite(RIGHT_WHEN_TOLD)
    before = stored()
    result = alone("--dspex-optimize")
    assert result.ret == 1
    assert outcomes(result) == {"passed": 20, "failed": 1}  # the tests run with the artifact, and pass
    assert artifact.read_bytes() == before
    result.stdout.fnmatch_lines(
        [
            "qa regressed: incumbent 1.000, candidate 0.000 (exact_match, n=20, 0 gained, 20 lost, p=0.000)",
            "The recompiled program is worse and was dropped: the stored artifacts/qa.json stays.",
            *(f"  lost c-{word}: *" for word in WORDS),
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*optimize_item.py*")


def test_a_drop_that_may_be_chance_is_no_regression(suite, artifact, stored, alone):
    project = suite('"carefully" in system or word not in ("w1", "w2")')
    before = stored()
    result = alone("--dspex-optimize")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["optimize qa: not better: incumbent 1.000, candidate 0.900 (*0 gained, 2 lost, p=0.500)"]
    )
    assert artifact.read_bytes() == before
    assert project.calls


def test_the_progress_of_a_search_is_shown(suite, alone):
    suite(
        BETTER_WITH_DEMOS,
        optimizer="BootstrapFewShotWithRandomSearch(exact_match('answer'), num_candidate_programs=1, num_threads=1)",
    )
    result = alone("--dspex-optimize")
    result.stdout.fnmatch_lines(
        [
            "optimize qa: candidate 1 of 4 (no demos): 0.000 (best 0.000)",
            "optimize qa: candidate 2 of 4 (labeled demos): 1.000 (best 1.000)",
            "optimize qa: candidate 4 of 4 (*): *",
            "optimize qa: improved: *",
        ]
    )


def test_it_runs_without_a_terminal(suite, artifact, pytester):
    suite(BETTER_WITH_DEMOS)
    assert pytester.runpytest_subprocess("--dspex-optimize", "-p", "no:terminal").ret == 0
    assert artifact.exists()


def test_the_file_for_ci_has_the_program_as_a_test_case(suite, alone):
    project = suite(ALWAYS_RIGHT)
    assert alone("--dspex-optimize", "--junitxml=report.xml").ret == 0
    assert 'name="optimize[qa]"' in (project.path / "report.xml").read_text()


@pytest.mark.parametrize("has_artifact", [False, True])
def test_the_function_that_builds_the_program_runs_once_for_all_of_it(suite, stored, alone, has_artifact):
    project = suite(BETTER_WITH_DEMOS, more=COUNT_BUILDS)
    conftest = project.path / "conftest.py"
    conftest.write_text(conftest.read_text().replace("    return Predict(", "    built()\n    return Predict("))
    if has_artifact:
        stored()
    result = alone("--dspex-optimize")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["optimize qa: improved: *"])
    assert (project.path / "built.txt").read_text() == "x"


# What is compared on what


@pytest.mark.parametrize("name", ["train", "val"])
def test_examples_that_are_also_held_out_are_refused_before_the_lm_is_asked(suite, artifact, alone, name):
    project = suite(BETTER_WITH_DEMOS)
    project.rows("t0", "w3", "w7", name=f"{name}.jsonl")
    result = alone("--dspex-optimize", "-x")
    assert outcomes(result) == {"failed": 1}
    assert project.calls == []
    assert not artifact.exists()
    result.stdout.fnmatch_lines(
        [f"ConfigurationError: @program 'qa': 2 examples of the {name}set are also held out (c-w3, c-w7); *"]
    )


def test_a_testset_of_its_own_is_what_a_program_is_compared_on(suite, artifact, alone):
    project = suite(BETTER_WITH_DEMOS)
    source = (project.path / "conftest.py").read_text().replace('valset="val.jsonl"', 'testset="held_out.jsonl"')
    (project.path / "conftest.py").write_text(source)
    words = [f"h{number}" for number in range(6)]
    project.rows(*words, name="held_out.jsonl")
    assert alone("--dspex-optimize").ret == 0
    assert list(json.loads(artifact.read_text())["metadata"]["scores"]) == [f"c-{word}" for word in words]


def test_inputs_of_another_name_in_the_program_do_not_hide_an_overlap(suite, alone):
    more = """
    @program(optimizer=LabeledFewShot(2), metric=exact_match("answer"), trainset="test.jsonl")
    def twice():
        class Twice(Module):
            def __init__(self):
                self.first = Predict("question -> draft")
                self.second = Predict("question, answer -> final")

            def forward(self, question):
                return self.first(question=question)

        return Twice()
    """
    project = suite(BETTER_WITH_DEMOS, more="from dspex_core import Module\n" + more.replace("\n    ", "\n"))
    project.test(TEST.replace('inputs=["question"]', 'inputs=["question"], program="twice"'))
    result = alone("--dspex-optimize=twice", "-x")
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(
        ["ConfigurationError: @program 'twice': 20 examples of the trainset are also held out *"]
    )


def test_the_rows_of_a_test_are_held_out_for_the_program_that_predicts_them_only(suite, alone):
    project = suite(BETTER_WITH_DEMOS, more=OTHER)
    project.test(TEST.replace("prediction)", "prediction, other)").replace('"]', '"], program="qa"'))
    result = alone("--dspex-optimize=other", "-x")
    result.stdout.fnmatch_lines(["ConfigurationError: @program 'other' has no held-out examples; give it a testset*"])


def test_rows_of_two_files_may_have_the_same_ids(suite, artifact, alone):
    project = suite(BETTER_WITH_DEMOS)
    project.rows("w0", "x0", name="more.jsonl")
    project.test(TEST + TEST.replace("test.jsonl", "more.jsonl").replace("test_qa", "test_more"))
    assert alone("--dspex-optimize").ret == 0
    names = list(json.loads(artifact.read_text())["metadata"]["scores"])
    assert names[0] == "c-w0 (example 1)"
    assert names[-2:] == ["c-w0 (example 21)", "c-x0"]
    assert len(names) == 22


def test_held_out_examples_need_inputs(suite, alone):
    project = suite(BETTER_WITH_DEMOS)
    source = (project.path / "conftest.py").read_text()
    changed = source.replace('valset="val.jsonl"', 'testset=[Example(question="Say h", answer="h")]')
    (project.path / "conftest.py").write_text(f"from dspex_core import Example\n{changed}")
    result = alone("--dspex-optimize", "-x")
    result.stdout.fnmatch_lines(
        ["ConfigurationError: the held-out examples of @program 'qa' have no input fields; name them with *"]
    )


def test_an_lm_that_fails_decides_nothing(suite, artifact, stored, alone):
    project = suite(RIGHT_WHEN_TOLD)
    source = (project.path / "conftest.py").read_text()
    down = 'from dspex_core import LMServerError\n\ndef reply(request):\n    return LMServerError("down")\n\n'
    start, end = source.index("def reply"), source.index("@pytest.fixture")
    (project.path / "conftest.py").write_text(source[:start] + down + source[end:])
    before = stored()
    result = alone("--dspex-optimize", "-x")
    assert outcomes(result) == {"failed": 1}
    assert artifact.read_bytes() == before
    result.stdout.fnmatch_lines(
        ["EvaluationError: the programs cannot be compared*: on c-w0 the program failed: LMServerError: down"]
    )


def test_demos_that_do_not_fit_the_context_are_the_programs_own_failure(suite, artifact, stored, alone):
    project = suite(ALWAYS_RIGHT)
    source = (project.path / "conftest.py").read_text()
    too_long = (
        "    if len(request.messages) > 2:\n        return ContextWindowExceededError('too long')\n    system, demos"
    )
    source = source.replace("    system, demos", too_long)
    (project.path / "conftest.py").write_text(f"from dspex_core import ContextWindowExceededError\n{source}")
    before = stored()
    result = alone("--dspex-optimize")
    assert outcomes(result) == {"passed": 20, "failed": 1}
    assert artifact.read_bytes() == before
    result.stdout.fnmatch_lines(["  lost c-w0: 0  program failed: ContextWindowExceededError: too long"])


def test_a_program_without_examples_to_compare_on_says_so(suite, alone):
    project = suite(ALWAYS_RIGHT)
    project.test("def test_it(qa):\n    assert qa(question='Say hello').answer == 'hello'")
    result = alone("--dspex-optimize")
    assert outcomes(result) == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["ConfigurationError: @program 'qa' has no held-out examples; give it a testset*"])


def test_a_broken_artifact_is_not_replaced(suite, artifact, alone):
    suite(BETTER_WITH_DEMOS)
    artifact.parent.mkdir()
    artifact.write_text("{")
    result = alone("--dspex-optimize", "-x")
    assert outcomes(result) == {"failed": 1}
    assert artifact.read_text() == "{"
    result.stdout.fnmatch_lines(["ArtifactError: *qa.json*is not JSON*"])


# Which programs


OTHER = """
@program(optimizer=LabeledFewShot(2), metric=exact_match("answer"), trainset="train.jsonl")
def other():
    return Predict("question -> answer")

@program
def plain():
    return Predict("question -> answer")
"""


def test_only_programs_that_the_collected_tests_use_are_recompiled(suite, artifact, alone):
    project = suite(BETTER_WITH_DEMOS, more=OTHER)
    project.test(
        TEST.replace('inputs=["question"]', 'inputs=["question"], program="qa"')
        + TEST.replace('inputs=["question"]', 'inputs=["question"], program="other"').replace("test_qa", "test_other")
        + "\n    def test_plain(plain):\n        pass\n"
    )
    result = alone("--dspex-optimize", "-k", "test_qa or test_plain")
    assert outcomes(result) == {"passed": 22, "deselected": 20}
    assert [path.name for path in artifact.parent.iterdir()] == ["qa.json"]


def test_a_program_can_be_named(suite, artifact, alone):
    project = suite(BETTER_WITH_DEMOS, more=OTHER)
    project.test(TEST.replace("prediction)", "prediction, qa)").replace('"]', '"], program="other"'))
    result = alone("--dspex-optimize=other")
    assert outcomes(result) == {"passed": 21}
    assert [path.name for path in artifact.parent.iterdir()] == ["other.json"]


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--dspex-optimize=nothing", "ERROR: --dspex-optimize: the collected tests do not use the @program 'nothing'*"),
        ("--dspex-optimize=other", "ERROR: --dspex-optimize: the collected tests do not use the @program 'other'*"),
    ],
)
def test_a_name_that_no_collected_test_uses_is_a_usage_error(suite, alone, flag, message):
    project = suite(BETTER_WITH_DEMOS, more=OTHER)
    project.test(TEST.replace('"]', '"], program="qa"'))
    result = alone(flag)
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert "Traceback" not in result.stderr.str()
    assert project.calls == []


def test_a_session_without_programs_is_told_that_there_is_nothing_to_optimize(pytester):
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess("--dspex-optimize")
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --dspex-optimize: the collected tests do not use a @program with an optimizer*"]
    )


def test_a_program_that_is_named_but_has_no_optimizer_says_what_is_missing(suite, alone):
    project = suite(BETTER_WITH_DEMOS, more=OTHER)
    project.test("def test_it(plain):\n    pass")
    result = alone("--dspex-optimize=plain", "-x")
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["ConfigurationError: @program 'plain' lacks an optimizer*"])


# How it runs


@pytest.mark.parametrize("mode", ["load", "loadscope"])
def test_workers_share_one_compilation(suite, artifact, on_two_workers, mode):
    project = suite(BETTER_WITH_DEMOS, more=OTHER)
    named = 'inputs=["question"], program='
    project.test(TEST.replace('inputs=["question"]', f'{named}"qa"'))
    project.test(
        TEST.replace('inputs=["question"]', f'{named}"other"').replace("prediction)", "prediction, qa)"), "test_a"
    )
    result = on_two_workers("--dspex-optimize", f"--dist={mode}")
    assert result.ret == 0, result.stdout.str()
    assert outcomes(result) == {"passed": 42}
    assert sorted(path.name for path in artifact.parent.iterdir()) == ["other.json", "qa.json"]
    assert json.loads(artifact.read_text())["provenance"]["held_out"]["looks"].popitem()[1] == 1
    assert result.stdout.str().count("optimize qa: improved: ") == 1
    asked = [call for call in project.calls if call.startswith("0 ")]
    assert len(asked) == 40  # each uncompiled program once, by one worker; the tests ran with the compiled ones


def test_workers_report_a_regression_once(suite, artifact, stored, on_two_workers):
    suite(RIGHT_WHEN_TOLD)
    before = stored()
    result = on_two_workers("--dspex-optimize")
    assert result.ret == 1
    assert outcomes(result) == {"passed": 20, "failed": 1}
    assert artifact.read_bytes() == before
    assert result.stdout.str().count("  lost c-w0: ") == 1


def test_its_lm_calls_are_recorded_and_replayed_like_those_of_a_test(suite, artifact, alone):
    project = suite(BETTER_WITH_DEMOS)
    source = (project.path / "conftest.py").read_text()
    recorded = source.replace("ScriptedLM(reply)", "Recorded(reply)").replace(
        "@program(", "class Recorded(ScriptedLM):\n    recordable = True\n\n@program(", 1
    )
    (project.path / "conftest.py").write_text(recorded)
    missed = alone("--dspex-optimize", "-x")
    assert outcomes(missed) == {"failed": 1}
    missed.stdout.fnmatch_lines(["optimize-qa calls 'scripted', and no call is recorded yet: *"])
    assert project.calls == []
    assert alone("--dspex-optimize", "--dspex-record=new").ret == 0
    assert len(project.entries("optimize-qa")) == 40  # the incumbent and the candidate
    artifact.unlink()
    project.forget_calls()
    assert alone("--dspex-optimize").ret == 0
    assert project.calls == []
    assert artifact.exists()


def test_a_process_that_is_killed_while_it_compiles_leaves_the_old_artifact(suite, artifact, stored):
    project = suite(ALWAYS_RIGHT)
    source = (project.path / "conftest.py").read_text()
    hangs = (
        "import time\n\n"
        "class Hanging(LabeledFewShot):\n"
        "    def compile(self, *args, **kwargs):\n"
        "        CALLS.with_name('compiling').write_text('')\n"
        "        time.sleep(600)\n\n"
        "@program("
    )
    source = source.replace("@program(", hangs, 1).replace("optimizer=LabeledFewShot(4)", "optimizer=Hanging(4)")
    (project.path / "conftest.py").write_text(source)
    before = stored()
    running = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--dspex-optimize", "-p", "no:cacheprovider"],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while running.poll() is None and not (project.path / "compiling").exists():
        time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert (project.path / "compiling").exists()
    assert artifact.read_bytes() == before
    assert [path.name for path in artifact.parent.iterdir()] == ["qa.json"]
