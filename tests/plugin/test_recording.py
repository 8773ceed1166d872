"""Cassettes in a session: what is replayed, recorded, pruned and shown."""

import pytest

USAGE_ERROR = 4


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


def test_without_a_flag_nothing_is_asked_and_a_miss_is_an_error_that_says_what_to_do(project, run):
    project.rows("red")
    project.test()
    result = run()
    assert outcomes(result) == {"errors": 1}
    assert project.calls == []
    result.stdout.fnmatch_lines(
        [
            "test_qa[[]c-red] calls 'test/echo', and no call is recorded yet: its cassette *test_qa.jsonl is missing.",
            "Record it with `pytest --dspex-record=new`, *",
            "*LM calls: 1 missed",
        ]
    )
    result.stdout.no_fnmatch_line("*lm_recorder.py*")


def test_a_miss_names_the_nearest_request(project, run):
    project.rows("red")
    project.test("def test_it(qa):\n    assert qa(question='Say red').answer")
    run("--dspex-record=new")
    project.test("def test_it(qa):\n    assert qa(question='Say blue').answer")
    result = run()
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(
        [
            "test_it calls 'test/echo' with a request that is not in its cassette *",
            "The nearest recorded request (-) differs from it (+):",
            "*-Say red",
            "*+Say blue",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_hundred_misses_are_readable(project, alone):
    project.rows(*(f"w{number}" for number in range(100)))
    project.test()
    result = alone()
    assert outcomes(result) == {"errors": 100}
    assert len(result.outlines) < 5 * 100


def test_what_is_recorded_is_replayed_without_the_lm(project, run):
    project.rows("red", "blue")
    project.test()
    recorded = run("--dspex-record=new")
    assert outcomes(recorded) == {"passed": 2}
    recorded.stdout.fnmatch_lines(["*LM calls: 2 recorded*"])
    assert len(project.entries()) == 2
    project.forget_calls()
    replayed = run()
    assert outcomes(replayed) == {"passed": 2}
    replayed.stdout.fnmatch_lines(["*LM calls: 2 replayed*"])
    assert project.calls == []


def test_new_records_what_is_missing_and_nothing_else(project, run):
    project.rows("red")
    project.test()
    run("--dspex-record=new")
    project.rows("red", "blue")
    result = run("--dspex-record=new")
    assert outcomes(result) == {"passed": 2}
    assert sorted(project.calls) == ["Say blue", "Say red"]
    assert [entry["case"] for entry in project.entries()] == ["c-blue", "c-red"]


def test_all_asks_again_and_drops_what_is_of_no_use_any_more(project, run):
    project.rows("red", "blue")
    project.test()
    run("--dspex-record=new")
    project.rows("red", "green")
    result = run("--dspex-record=all")
    assert outcomes(result) == {"passed": 2}
    assert [entry["case"] for entry in project.entries()] == ["c-green", "c-red"]
    assert project.calls.count("Say red") == 2


PLAIN = """
    import pytest

    @pytest.mark.parametrize("word", [{words}])
    def test_plain(word, qa):
        assert qa(question=f"Say {{word}}").answer == word
"""


@pytest.mark.parametrize(
    "selection", [("-k", "red"), ("test_it.py::test_plain[red]",), ("--deselect", "test_it.py::test_plain[blue]")]
)
def test_all_drops_nothing_when_not_all_cases_ran(project, alone, selection):
    project.test(PLAIN.format(words="'red', 'blue'"))
    alone("--dspex-record=new")
    before = project.cassette("test_plain").read_bytes()
    alone("--dspex-record=all", *selection)
    assert project.cassette("test_plain").read_bytes() == before


def test_workers_drop_nothing_when_not_all_cases_ran(project, alone, on_two_workers):
    project.test(PLAIN.format(words="'red', 'blue', 'green'"))
    alone("--dspex-record=new")
    before = project.cassette("test_plain").read_bytes()
    on_two_workers("--dspex-record=all", "-k", "red or blue")
    assert project.cassette("test_plain").read_bytes() == before


def test_all_drops_nothing_when_the_lm_failed(project, run):
    project.test("def test_it(qa):\n    qa(question='Say red')\n    qa(question='Say blue')")
    run("--dspex-record=new")
    before = project.cassette("test_it").read_bytes()
    project.test("def test_it(qa):\n    qa(question='Say red')\n    qa(question='Say broken')")
    assert outcomes(run("--dspex-record=all")) == {"failed": 1}
    assert project.cassette("test_it").read_bytes() == before


def test_all_drops_what_a_test_with_a_failed_assertion_no_longer_asks(project, run):
    project.test(PLAIN.format(words="'red', 'blue'"))
    run("--dspex-record=new")
    project.test(PLAIN.format(words="'red'").replace("== word", "!= word"))
    assert outcomes(run("--dspex-record=all")) == {"failed": 1}
    assert [entry["case"] for entry in project.entries("test_plain")] == ["red"]


def test_live_looks_at_no_cassette(project, run):
    project.rows("red")
    project.test()
    run("--dspex-record=new")
    before = project.cassette().read_bytes()
    project.rows("red", "blue")
    assert outcomes(run("--dspex-live")) == {"passed": 2}
    assert sorted(project.calls) == ["Say blue", "Say red", "Say red"]
    assert project.cassette().read_bytes() == before


def test_workers_record_the_same_bytes(project, alone, on_two_workers):
    project.rows(*(f"w{number}" for number in range(12)))
    project.test()
    alone("--dspex-record=new")
    serial = project.cassette().read_bytes()
    project.cassette().unlink()
    result = on_two_workers("--dspex-record=new")
    assert outcomes(result) == {"passed": 12}
    result.stdout.fnmatch_lines(["*LM calls: 12 recorded*"])
    assert project.cassette().read_bytes() == serial
    assert [path.name for path in project.cassette().parent.iterdir()] == ["test_qa.jsonl"]
    assert project.calls.count("Say w3") == 2  # once in each run


def test_a_worker_that_dies_loses_none_of_the_tests_before(project, on_two_workers):
    project.test(
        """
        import os

        def test_asks(qa):
            assert qa(question="Say red").answer == "red"

        def test_dies(qa):
            qa(question="Say blue")
            os._exit(1)
        """
    )
    on_two_workers("--dspex-record=all", "--dist", "loadfile")
    assert len(project.entries("test_asks")) == 1
    assert not list(project.path.rglob("*.shard"))


def test_a_process_that_dies_loses_none_of_the_tests_before(project, pytester):
    project.test(
        """
        import os

        def test_asks(qa):
            assert qa(question="Say red").answer == "red"

        def test_dies(qa):
            qa(question="Say blue")
            os._exit(1)
        """
    )
    pytester.runpytest_subprocess("--dspex-record=new")
    assert len(project.entries("test_asks")) == 1


def test_calls_outside_of_prediction_are_recorded_too(project, run):
    project.test(
        """
        import pytest
        from dspex_core import Predict, context, exact_match

        def test_direct(qa):
            assert qa(question="Say red").answer == "red"

        def test_lm(lm):
            assert "red" in lm("Say red")[0]

        def test_evaluate(qa, evaluate):
            assert evaluate(qa, "data.jsonl", metric=exact_match("answer")) >= 1

        @pytest.fixture(scope="session")
        def answer(qa):
            return qa(question="Say early").answer

        def test_session_fixture(answer):
            assert answer == "early"
        """
    )
    project.rows("red", "blue")
    assert outcomes(run("--dspex-record=new")) == {"passed": 4}
    names = ("test_direct", "test_lm", "test_evaluate", "fixture-answer")
    assert [len(project.entries(name)) for name in names] == [1, 1, 2, 1]
    project.forget_calls()
    assert outcomes(run()) == {"passed": 4}
    assert project.calls == []


def test_a_secret_is_never_in_a_cassette(project, run):
    project.rows("red")
    project.test()
    run("--dspex-record=new")
    assert "sk-secret-key" not in project.cassette().read_text()


def test_scripted_lms_are_not_recorded(project, alone):
    project.test("def test_it(qa, scripted_lm):\n    scripted_lm([{'answer': 'a'}])\n    qa(question='?')")
    assert outcomes(alone("--dspex-record=new")) == {"passed": 1}
    assert not (project.path / "cassettes").exists()


@pytest.mark.parametrize("record", ["new", "all"])
def test_live_and_record_contradict_each_other(project, pytester, record):
    result = pytester.runpytest_subprocess("--dspex-live", f"--dspex-record={record}")
    assert result.ret == USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --dspex-live uses no cassettes, and --dspex-record=* writes them: use only one of them"]
    )
    assert "Traceback" not in result.stderr.str()


def test_a_damaged_cassette_is_one_clear_message(project, run):
    project.rows("red")
    project.test()
    project.cassette().parent.mkdir(parents=True)
    project.cassette().write_text("{}\n{")
    result = run("--dspex-record=new")
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines(["CassetteError: *test_qa.jsonl:2: not a line of JSON *"])
    assert "INTERNALERROR" not in result.stdout.str()
    assert project.cassette().read_text() == "{}\n{"


def test_a_cassette_that_cannot_be_written_fails_the_session(project, run):
    project.test(
        """
        import shutil
        from pathlib import Path

        def test_it(qa):
            qa(question="Say red")
            folder = Path(__file__).with_name("cassettes")
            shutil.rmtree(folder)
            folder.write_text("this is no folder")
        """
    )
    result = run("--dspex-record=new")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: the recorded calls could not be written *record them again*"])
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_miss_in_a_fixture_of_the_session_is_told_to_each_test_that_uses_it(project, alone):
    project.test(
        """
        import pytest

        @pytest.fixture(scope="session")
        def answer(qa):
            return qa(question="Say red").answer

        def test_one(answer):
            pass

        def test_two(answer):
            pass
        """
    )
    result = alone("--tb=no", "-rE")
    assert outcomes(result) == {"errors": 2}
    result.stdout.fnmatch_lines(["ERROR *test_one - pytest_dspex.CassetteMiss*", "ERROR *test_two - pytest_dspex.Cas*"])


@pytest.mark.parametrize("signal_name", ["SIGTERM", "SIGKILL"])
def test_a_killed_recording_has_paid_once(project, pytester, signal_name):
    project.test(
        f"""
        import os, signal
        from pathlib import Path

        def test_it(lm):
            for number in range(5):
                lm(f"Say w{{number}}")
            if not Path("again").exists():
                os.kill(os.getpid(), signal.{signal_name})
        """
    )
    assert pytester.runpytest_subprocess("--dspex-record=new").ret != 0
    assert list(project.path.rglob("*.shard"))
    (project.path / "again").touch()
    assert outcomes(pytester.runpytest_inprocess("--dspex-record=new")) == {"passed": 1}
    assert len(project.calls) == 5
    assert len(project.entries("test_it")) == 5
    assert list(project.path.rglob("*.shard")) == []


def test_a_session_takes_nothing_from_another_that_records_on_the_same_tree(project, alone, pytester):
    project.test(
        """
        import subprocess, sys, os

        def test_it(lm):
            lm("Say mine")
            if "INNER" not in os.environ:
                command = [sys.executable, "-m", "pytest", "--dspex-record=new", "-k", "other"]
                assert subprocess.run(command, env={**os.environ, "INNER": "1"}).returncode == 0
            lm("Say later")

        def test_other(lm):
            lm("Say others")
        """
    )
    assert outcomes(alone("--dspex-record=new")) == {"passed": 2}
    assert [len(project.entries(name)) for name in ("test_it", "test_other")] == [2, 1]
    assert list(project.path.rglob("*.shard")) == []
