"""What the summary says of changed, unused and old recordings, and what --dspex-prune removes."""

import pytest
from cassette_files import calls_in

TWO = """
    def test_one(qa):
        qa(question="Say red")
    def test_two(qa):
        qa(question="Say blue")
"""


@pytest.fixture
def recorded(project, alone):
    project.rows("red", "blue")
    project.test()
    project.test(TWO, name="test_other")
    assert alone("--dspex-record=new").ret == 0
    return project


def test_a_recording_says_which_answers_it_changed(recorded, alone):
    source = (recorded.path / "conftest.py").read_text()
    (recorded.path / "conftest.py").write_text(source.replace("\\n{word}", "\\nnot {word}"))
    result = alone("--dspex-record=all", "-k", "test_other")
    result.stdout.fnmatch_lines(["answers that this recording changed: 2", "*test_one the answer: (nothing) -> not"])
    assert "answers that" not in alone("--dspex-record=all", "-k", "test_other").stdout.str()


def test_what_no_test_uses_is_listed_and_pruned_after_a_whole_run(recorded, run):
    recorded.rows("red")
    recorded.test(TWO.replace("test_two", "test_new").replace("Say blue", "Say red"), name="test_other")
    assert run("--dspex-record=new").ret == 0
    listed = run()
    listed.stdout.fnmatch_lines(
        [
            "recorded calls that no test uses (--dspex-prune removes them):",
            "*cassettes/test_it/test_qa.jsonl: 1 of c-blue",
            "*cassettes/test_other/test_two.jsonl: the whole file",
        ]
    )
    assert run("--dspex-prune").ret == 0
    assert [call["case"] for call in calls_in(recorded.cassette())] == ["c-red"]
    assert not recorded.cassette("test_two", "test_other").exists()
    assert recorded.cassette("test_new", "test_other").exists()
    assert "no test uses" not in run().stdout.str()


@pytest.mark.parametrize(
    "part", [["-k", "red"], ["test_it.py"], ["test_it.py::test_qa[c-red]"], ["--deselect", "test_other.py::test_one"]]
)
def test_a_partial_run_removes_and_lists_nothing(recorded, alone, part):
    recorded.test("", name="test_other")
    before = sorted(recorded.path.rglob("*.jsonl"))
    result = alone("--dspex-prune", *part)
    result.stdout.fnmatch_lines(["--dspex-prune has removed nothing: *"])
    assert sorted(recorded.path.rglob("*.jsonl")) == before


@pytest.mark.parametrize("broken", ["def test_one(: pass", "import pytest\npytest.skip(allow_module_level=True)"])
def test_a_module_that_was_not_collected_keeps_its_cassettes(recorded, alone, broken):
    (recorded.path / "test_other.py").write_text(broken)
    alone("--dspex-prune")
    assert recorded.cassette("test_two", "test_other").exists()


def since_2020(cassette):
    recorded_at = next(
        entry for entry in cassette.read_text().split('"') if entry.startswith("20") and len(entry) == 10
    )
    cassette.write_text(cassette.read_text().replace(recorded_at, "2020-01-31"))


def test_old_replies_are_a_warning_until_they_are_recorded_again(recorded, alone, on_two_workers, pytester):
    pytester.makeini("[pytest]\ndspex_max_age = 90")
    for run in (alone, on_two_workers):
        since_2020(recorded.cassette())
        alone().stdout.fnmatch_lines(
            ["WARNING: 2 recorded replies are older than *", "*test_qa.jsonl: 2, since 2020-01-31"]
        )
        again = run("--dspex-record=all")
        assert again.ret == 0
        assert "answers that this recording changed" not in again.stdout.str()
        assert "WARNING" not in alone().stdout.str()
        assert "2020-01-31" not in recorded.cassette().read_text()


def test_without_a_limit_of_age_the_same_replies_change_no_line(recorded, alone):
    since_2020(recorded.cassette())
    before = recorded.cassette().read_bytes()
    assert alone("--dspex-record=all").ret == 0
    assert recorded.cassette().read_bytes() == before


CUT = """
    import pytest
    @pytest.mark.xfail
    def test_one(qa):
        assert qa(question="Say red").answer == {answer!r}
        qa(question="Say blue")
"""


def test_calls_that_a_failed_assertion_has_kept_a_test_from_stay(recorded, run):
    recorded.test(CUT.format(answer="red"), name="test_other")
    assert run("--dspex-record=new").ret == 0
    before = recorded.cassette("test_one", "test_other").read_bytes()
    recorded.test(CUT.format(answer="blue"), name="test_other")
    result = run("--dspex-prune")
    assert result.ret == 0
    assert "test_one.jsonl" not in result.stdout.str()
    assert recorded.cassette("test_one", "test_other").read_bytes() == before


def test_attempts_that_failed_keep_the_calls_that_they_did_not_come_to(recorded, alone):
    repeated = CUT.replace("xfail", "dspex_repeat(2, pass_at=2)")
    recorded.test(repeated.format(answer="red"), name="test_other")
    assert alone("--dspex-record=new").ret == 0
    before = recorded.cassette("test_one", "test_other").read_bytes()
    flaky = repeated.format(answer="red").replace("(qa)", "(qa, request)")
    recorded.test(flaky.replace("== 'red'", "== 'red' * ('[1/2' in request.node.name)"), name="test_other")
    alone("--dspex-prune").assert_outcomes(passed=4, xfailed=1)
    assert recorded.cassette("test_one", "test_other").read_bytes() == before


SHARED = """
    import os
    import pytest
    @pytest.fixture(scope="module")
    def first(lm):
        return lm("Say first")
    @pytest.fixture(scope="module")
    def second(lm):
        return lm("Say second")
    def test_a(first): {ends}
    def test_b(second): pass
"""


@pytest.mark.parametrize(
    ("ends", "options"),
    [("assert False", ["-x"]), ("assert False", []), ("pytest.exit('enough', 0)", []), ("os._exit(3)", ["-n", "2"])],
    ids=["stopped", "failed", "ended", "crashed"],
)
def test_a_run_that_did_not_come_to_all_tests_removes_no_calls_of_fixtures(
    recorded, alone, on_two_workers, ends, options
):
    recorded.test(SHARED.format(ends="pass"), name="test_other")
    assert alone("--dspex-record=new", "--dspex-prune").ret == 0
    files = {path: path.read_bytes() for path in recorded.path.rglob("*.jsonl")}
    assert {"fixture-first.jsonl", "fixture-second.jsonl"} <= {path.name for path in files}
    recorded.test(SHARED.format(ends=ends), name="test_other")
    (on_two_workers if "-n" in options else alone)("--dspex-prune", *options)
    assert {path: path.read_bytes() for path in recorded.path.rglob("*.jsonl")} == files
