import json
from xml.etree import ElementTree as ET

import pytest

from pytest_dspex.gates.grammar import Gate
from pytest_dspex.gates.records import CaseReport, Collected, Evaluation, RecordedScore
from pytest_dspex.session.session import SessionResults

SUITE = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("accuracy", min=0.8)
    def test_cases(example, score):
        if isinstance(example.value, str):
            {special}
        score("accuracy", example.value, feedback="feedback of " + example.id)
"""

# Ends a worker without a word, as the out-of-memory killer does.
DIE = "__import__('os')._exit(1)"


@pytest.fixture
def suite(pytester):
    def write(*values, special="raise ConnectionError(example.value)", **files):
        rows = [{"id": f"c{number}", "question": "?", "value": value} for number, value in enumerate(values)]
        (pytester.path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        pytester.makepyfile(test_it=SUITE.format(special=special), **files)

    return write


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


# Passed and failed


def test_a_gate_that_is_reached_is_one_more_passed_test(suite, run):
    suite(1, 1, 1, 1, 0)
    result = run("-v")
    assert result.ret == 0
    assert outcomes(result) == {"passed": 6}
    result.stdout.re_match_lines([r"test_it\.py::test_cases\[gate-accuracy\] PASSED +\[100%\]"])


def test_a_gate_that_is_missed_fails_a_session_in_which_every_test_passed(suite, run):
    suite(1, 1, 0, 0, 0)
    result = run()
    assert result.ret == 1
    assert outcomes(result) == {"passed": 5, "failed": 1}
    result.stdout.fnmatch_lines(
        [
            "*test_cases[[]gate-accuracy]*",
            "accuracy 0.4 [[]0.1176, 0.7693] < 0.8, n=5",
            "  c2: 0  feedback of c2",
            "  c3: 0  feedback of c3",
            "  c4: 0  feedback of c4",
            "FAILED test_it.py::test_cases[[]gate-accuracy]*",
        ]
    )


def test_a_failed_gate_shows_the_five_worst_cases_and_counts_the_rest(suite, alone):
    suite(*[0.7] * 6, 0.1)
    result = alone()
    result.stdout.fnmatch_lines(
        [
            "  c6: 0.1  feedback of c6",
            "*",
            "  c0: 0.7  *",
            "*",
            "  c3: 0.7  *",
            "*",
            "  ... and 2 more on the wrong side*",
        ]
    )
    result.stdout.no_fnmatch_line("  c4: 0.7  *")


def test_an_error_counts_as_0_and_is_told_from_a_miss(suite, run):
    suite(1, 1, "refused", special="raise ConnectionError(example.value)")
    result = run()
    assert outcomes(result) == {"passed": 2, "failed": 2}
    result.stdout.fnmatch_lines(["*< 0.8, n=3, errors=1 (counted as 0)", "  c2: 0  error: ConnectionError: refused"])


def test_a_gate_can_be_reached_although_a_case_failed(suite, alone):
    suite(1, 1, 1, 1, 1, "refused")
    result = alone()
    assert result.ret == 1  # for the case
    assert outcomes(result) == {"passed": 6, "failed": 1}
    result.stdout.re_match_lines([r"\S+::test_cases$", r" +accuracy +0.83 .* 6 +1 +>= 0.8 +passed"])


def test_a_failed_assertion_is_a_miss_and_no_error(suite, run):
    suite(1, "wrong", special="assert example.value == 'right'")
    result = run()
    result.stdout.fnmatch_lines(
        [
            "accuracy 0.5 * < 0.8, n=2, unrecorded=1 (counted as 0)",
            "  c1: 0  recorded no 'accuracy': AssertionError: assert 'wrong' == 'right'",
        ]
    )


def test_failed_checks_are_a_miss_and_keep_the_score(pytester, alone):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        def test_one(score, check):
            score("accuracy", 1)
            check(False, "too long")
        """
    )
    result = alone()
    assert outcomes(result) == {"passed": 1, "failed": 1}
    result.stdout.re_match_lines([r"\S+::test_one$", r" +accuracy +1.00 .* 1 +>= 0.8 +passed"])


def test_an_assertion_in_a_fixture_is_an_error(pytester, alone):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.fixture
        def broken():
            assert False, "no server"

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        def test_one(broken, score):
            score("accuracy", 1)
        """
    )
    result = alone()
    assert result.ret == 1
    assert outcomes(result) == {"errors": 1, "failed": 1}
    result.stdout.fnmatch_lines(
        ["accuracy 0 * < 0.8, n=1, errors=1 (counted as 0)", "  *error: AssertionError: no server"]
    )


def test_a_broken_teardown_makes_an_error_of_a_case(pytester, alone):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.fixture
        def connection():
            yield
            raise OSError("lost")

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        def test_one(connection, score):
            score("accuracy", 1)
        """
    )
    result = alone()
    assert outcomes(result) == {"passed": 1, "errors": 1, "failed": 1}
    result.stdout.fnmatch_lines(["  *error: OSError: lost"])


def test_skipped_cases_are_left_out_and_expected_failures_are_not(pytester, run):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        @pytest.mark.parametrize("value", [1, 1, pytest.param(0, marks=pytest.mark.skip(reason="later"))])
        def test_skips(value, score):
            score("accuracy", value)

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        @pytest.mark.parametrize("value", [1, pytest.param(0, marks=pytest.mark.xfail)])
        def test_xfails(value, score):
            score("accuracy", value)
            assert value
        """
    )
    result = run()
    assert result.ret == 1
    assert outcomes(result) == {"passed": 4, "failed": 1, "skipped": 1, "xfailed": 1}
    result.stdout.fnmatch_lines(["*test_xfails[[]gate-accuracy] failed: accuracy 0.5*"])


def test_a_gate_fails_a_session_that_shows_nothing(suite, alone):
    suite(0, 0)
    assert alone("-p", "no:terminal").ret == 1


# Usage errors


def test_a_score_that_nothing_records_is_a_usage_error_that_says_what_is_recorded(pytester, run):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.dspex_gate("acuracy", min=0)
        @pytest.mark.parametrize("number", range(3))
        def test_cases(number, score):
            score("accuracy", 1)
        """
    )
    result = run()
    assert result.ret == 4
    result.stdout.fnmatch_lines(
        ["no case recorded the score 'acuracy'; recorded: 'accuracy'; name one of these, or record it"]
    )


def test_a_test_that_only_ever_errs_is_no_usage_error(suite, alone):
    suite("refused", "refused")
    assert alone().ret == 1


# Parts of a test


@pytest.mark.parametrize("selection", ["-kc0 or c1", "test_it.py::test_cases[c0]"])
def test_a_selection_leaves_the_gate_not_evaluated_and_the_session_green(suite, run, selection):
    suite(0, 0, 0, 0, 0)
    result = run("-rs", selection)
    assert result.ret == 0
    assert outcomes(result)["skipped"] == 1
    result.stdout.re_match_lines([r"SKIPPED .*not evaluated: [12]/5 cases: the others were not selected"])


def test_a_gate_of_which_no_case_was_selected_is_not_mentioned(suite, alone):
    suite(0, 0, test_other="def test_other(): pass")
    result = alone("-k", "test_other")
    assert (result.ret, outcomes(result)["passed"]) == (0, 1)
    result.stdout.no_fnmatch_line("*accuracy*")


def test_stopping_at_the_first_failure_leaves_the_gate_not_evaluated(suite, run):
    suite(1, "wrong", *[1] * 30, special="assert False")
    result = run("-x", "-rs")
    assert result.ret in (1, 2)  # pytest's, and xdist's
    result.stdout.re_match_lines([r"SKIPPED .*not evaluated: \d+/32 cases: the session did not run them"])


def test_running_only_the_last_failures_leaves_the_gate_not_evaluated(suite, run):
    suite(1, 1, 1, 1, "wrong", special="assert False")
    assert outcomes(run()) == {"passed": 5, "failed": 1}
    result = run("--lf", "-rs")
    assert result.ret == 1
    assert (outcomes(result)["failed"], outcomes(result)["skipped"]) == (1, 1)
    result.stdout.re_match_lines([r"SKIPPED .*not evaluated: 1/5 cases: the others were not selected"])


@pytest.mark.parametrize("selection", ["test_it.py::test_cases[a-0]", "--lf"])
def test_cases_of_other_parameters_are_missed_too(pytester, alone, selection):
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        @pytest.mark.parametrize("number", [0, 1])
        @pytest.mark.parametrize("letter", "ab")
        def test_cases(letter, number, score):
            score("accuracy", 1)
            assert (letter, number) != ("b", 1)
        """
    )
    alone()
    result = alone("-rs", selection)
    result.stdout.re_match_lines([r"SKIPPED .*not evaluated: 1/4 cases: the others were not selected"])


def test_a_collection_that_failed_has_no_gates(suite, alone):
    suite(1, 1, test_broken="raise OSError")
    result = alone()
    assert (result.ret, outcomes(result)) == (2, {"errors": 1})


def test_a_gate_that_failed_alone_makes_the_next_lf_run_its_low_cases(suite, alone):
    suite(1, 0)
    assert alone().ret == 1
    suite(1, 1)
    result = alone("--lf")
    assert (result.ret, outcomes(result)) == (0, {"passed": 1, "skipped": 1})


@pytest.mark.parametrize("option", ["--collect-only", "--setup-only", "--setup-plan"])
def test_a_session_that_runs_no_test_bodies_decides_nothing(suite, alone, option):
    suite(0, 0)
    result = alone(option)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*accuracy*")


# Crashes and lost reports


def test_a_worker_that_dies_leaves_the_gate_not_evaluated(suite, on_two_workers):
    suite(1, "out of memory", 1, 1, 1, special=DIE)
    result = on_two_workers("-rs")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["SKIPPED *not evaluated: 4/5 cases: the session did not run them"])


@pytest.mark.parametrize("option", ["--max-worker-restart=0", "-x", "--maxfail=1"])
def test_a_stop_because_of_a_lost_worker_leaves_the_gate_not_evaluated(suite, pytester, option):
    suite("out of memory", "out of memory", "out of memory", special=DIE)
    result = pytester.runpytest_subprocess("-n", "1", "-rs", option)
    assert result.ret not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    result.stdout.re_match_lines([r"SKIPPED .*not evaluated: [0-2]/3 cases: the session did not run them"])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_worker_whose_report_cannot_travel_never_ends_green(suite, pytester, workers):
    conftest = """
        import pytest

        @pytest.fixture(autouse=True)
        def unserialisable(request, record_property):
            if request.node.name == "test_cases[c5]":
                record_property("object", object())
    """
    suite(*[1] * 6, conftest=conftest)
    result = pytester.runpytest_subprocess("-n", workers)
    assert result.ret != 0
    result.stdout.no_fnmatch_line("* passed")


def test_a_report_that_got_lost_fails_the_gate(suite, run):
    conftest = """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item):
            if item.name == "test_cases[c3]":
                return True  # swallowed: it claims that it ran the test
    """
    suite(*[1] * 5, conftest=conftest)
    result = run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["4/5 cases: 1 of the selected cases did not report a result"])


def test_a_lost_report_fails_a_session_without_gates_too(pytester, alone):
    pytester.makeconftest(
        """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item):
            return True
        """
    )
    pytester.makepyfile(test_it="def test_one(score): score('accuracy', 1)")
    result = alone()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["test_it.py::test_one: 0/1 cases: 1 of the selected cases did not report a result"])


# Reruns


def test_a_rerun_replaces_the_attempt_before_it(pytester, alone):
    pytester.makeconftest(
        """
        import pytest
        from _pytest.runner import runtestprotocol

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item, nextitem):  # what pytest-rerunfailures does
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for attempts_left in (1, 0):
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                again = attempts_left and any(report.failed for report in reports)
                for report in reports:
                    if again and report.failed:
                        report.outcome = "rerun"
                    item.ihook.pytest_runtest_logreport(report=report)
                if not again:
                    break
                item._initrequest()
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            return True
        """
    )
    pytester.makepyfile(
        test_it="""
        import pytest

        tried = set()

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        @pytest.mark.parametrize("number", range(3))
        def test_cases(number, score):
            first = number not in tried
            tried.add(number)
            score("accuracy", 0 if first else 1)
            assert not first
        """
    )
    result = alone()
    assert result.ret == 0
    result.stdout.re_match_lines([r"\S+test_cases$", r" +accuracy +1.00 .* 3 +>= 0.8 +passed"])


# By hand: reports in orders and forms that no plugin of ours makes


FUNCTION = "dir[1]/test_it.py::test_it"


@pytest.fixture
def session(pytester):
    session = pytest.Session.from_config(pytester.parseconfigure())
    session.config.hook.pytest_sessionstart(session=session)
    session.exitstatus = pytest.ExitCode.OK
    return session


@pytest.fixture
def results():
    results = SessionResults()
    results.add_collected({FUNCTION: Collected(1, "", (Gate("accuracy", 0.5),))})
    return results


def report(when, outcome, *, value=None, longrepr=None, nodeid=FUNCTION):
    case = CaseReport(function=FUNCTION, scores={} if value is None else {"accuracy": RecordedScore(value)})
    properties = [] if value is None else [case.to_property()]
    location = ("dir[1]/test_it.py", 0, "test_it")
    return pytest.TestReport(nodeid, location, {}, outcome, longrepr, when, user_properties=properties)


def test_a_rerun_that_never_came_leaves_its_case_unreported(session, results):
    results.add_selected([FUNCTION])
    for when, outcome in (("setup", "passed"), ("call", "rerun"), ("teardown", "passed")):
        results.add_report(report(when, outcome, value=1))
    results.finish(session)
    (verdict,) = results.report().suites[0].verdicts
    assert (verdict.status, verdict.reason) == ("failed", "0/1 cases: 1 of the selected cases did not report a result")
    assert session.exitstatus == pytest.ExitCode.TESTS_FAILED


def test_the_properties_of_earlier_attempts_do_not_count(session, results):
    call = report("call", "passed", value=0)
    call.user_properties += report("call", "passed", value=1).user_properties
    results.add_report(call)
    results.finish(session)
    assert results.report().suites[0].verdicts[0].mean == 1


def test_an_item_in_an_xdist_group_belongs_to_its_function(session, results):
    results.add_selected([f"{FUNCTION}@group"])
    results.finish(session)
    assert results.report().suites[0].verdicts[0].status == "failed"  # known to be missing


@pytest.mark.parametrize(
    ("message", "errors"),
    [("assert 1 == 2", 0), ("AssertionError", 0), ("AssertionError: wrong", 0), ("TypeError: wrong", 1)],
)
def test_a_case_that_sent_nothing_is_judged_by_the_message_of_its_failure(session, results, message, errors):
    results.add_report(report("call", "failed", longrepr=message))
    results.finish(session)
    (suite,) = results.report().suites
    assert (suite.errors, suite.missed) == (errors, 1 - errors)


@pytest.mark.parametrize("status", [pytest.ExitCode.INTERRUPTED, pytest.ExitCode.INTERNAL_ERROR])
def test_an_interrupted_session_keeps_its_exit_status(session, results, status):
    session.exitstatus = status
    results.add_report(report("call", "passed", value=0))
    results.finish(session)
    assert results.report().suites[0].verdicts[0].status == "failed"
    assert session.exitstatus == status


def test_an_internal_error_that_a_worker_reported_never_ends_green(session):
    results = SessionResults()
    results.add_internal_error()
    results.finish(session)
    assert session.exitstatus == pytest.ExitCode.INTERNAL_ERROR


def test_evaluations_and_notes_are_part_of_the_report(session, results):
    evaluation = Evaluation(FUNCTION, "f1", mean=0.5, low=0.4, high=0.6, n=9, errors=1)
    call = report("call", "passed")
    call.user_properties = [CaseReport(function=FUNCTION, evaluations=(evaluation,)).to_property()]
    results.add_report(call)
    results.add_note("LM calls: 9 replayed")
    results.finish(session)
    assert results.report().evaluations == (evaluation,)
    assert results.report().notes == ("LM calls: 9 replayed",)


# What others see


def test_junit_xml_has_the_gates_as_test_cases(pytester, run):
    pytester.makepyfile(
        test_it="""
        import pytest

        class TestIntent:
            @pytest.mark.dspex_gate("accuracy", min=0.8)
            @pytest.mark.dspex_gate("f1", min=0.1)
            @pytest.mark.parametrize("value", [1, 0])
            def test_cases(self, value, score):
                score("accuracy", value)
                score("f1", value)
        """
    )
    run("--junitxml=junit.xml")
    root = ET.parse(pytester.path / "junit.xml").getroot()
    assert root.find("testsuite").attrib["failures"] == "1"
    cases = {case.attrib["name"]: case for case in root.iter("testcase")}
    failure = cases["test_cases[gate-accuracy]"].find("failure")
    assert failure.attrib["message"].startswith("accuracy 0.5 ")
    assert "test_cases[0]" in cases
    assert cases["test_cases[gate-f1]"].find("failure") is None
    assert cases["test_cases[gate-f1]"].attrib["classname"].endswith("TestIntent")


def test_scores_without_a_gate_are_reported_and_fail_nothing(pytester, alone):
    pytester.makepyfile(test_it="def test_one(score): score('accuracy', 0.25)")
    result = alone()
    assert (result.ret, outcomes(result)) == (0, {"passed": 1})
    result.stdout.re_match_lines([r"\S+test_one$", r" +accuracy +0.25 .*"])


def test_a_session_without_dspex_tests_is_not_touched(pytester, alone):
    pytester.makepyfile("def test_one(): pass")
    result = alone()
    assert (result.ret, outcomes(result)) == (0, {"passed": 1})
    result.stdout.no_re_match_line("=+ dspex =+")
