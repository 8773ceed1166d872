import json
from xml.etree import ElementTree as ET

import pytest

from pytest_dspex.session import SessionResults

SUITE = """
    import pytest

    VALUES = {values}

    @pytest.mark.dspex_gate("accuracy", min=0.8)
    @pytest.mark.parametrize("number", range(len(VALUES)))
    def test_cases(number, score):
        value = VALUES[number]
        if isinstance(value, str):
            {special}
        score("accuracy", value, feedback=f"feedback of {{number}}")
"""

# Ends a worker without a word, as the out-of-memory killer does.
DIE = "__import__('os')._exit(1)"


@pytest.fixture(params=[0, 2], ids=["serial", "two workers"])
def run(request, pytester):
    workers = () if request.param == 0 else ("-n", str(request.param))

    def run(*args):
        return pytester.runpytest_subprocess("-p", "no:randomly", *workers, *args)

    return run


@pytest.fixture
def suite(pytester):
    def write(*values, special="raise ConnectionError(value)", **files):
        pytester.makepyfile(test_it=SUITE.format(values=list(values), special=special), **files)

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
    result.stdout.no_fnmatch_line("*11?%*")


def test_a_gate_that_is_missed_fails_a_session_in_which_every_test_passed(suite, run):
    suite(1, 1, 0, 0, 0)
    result = run()
    assert result.ret == 1
    assert outcomes(result) == {"passed": 5, "failed": 1}
    result.stdout.fnmatch_lines(
        [
            "*test_cases[[]gate-accuracy]*",
            "accuracy 0.4 [[]0.1176, 0.7693] < 0.8, n=5",
            "  2: 0  feedback of 2",
            "  3: 0  feedback of 3",
            "  4: 0  feedback of 4",
            "FAILED test_it.py::test_cases[[]gate-accuracy] - accuracy 0.4*",
        ]
    )


def test_a_failed_gate_shows_the_five_worst_cases_and_counts_the_rest(suite, run):
    suite(*[0.7] * 6, 0.1)
    result = run()
    result.stdout.fnmatch_lines(["  6: 0.1  feedback of 6", "  0: 0.7  *", "  3: 0.7  *", "  ... and 2 more below 0.8"])
    result.stdout.no_fnmatch_line("  4: 0.7  *")


def test_an_error_counts_as_0_and_is_told_from_a_miss(suite, run):
    suite(1, 1, 1, "refused", 1, 1, special="raise ConnectionError(value)")
    passing = run()
    assert passing.ret == 1  # for the failed test; five of six still reach the gate
    assert outcomes(passing) == {"passed": 6, "failed": 1}
    passing.stdout.re_match_lines([r"test_it.py::test_cases +accuracy +0.8333 .* 6 +1 +>= 0.8 +passed"])

    suite(1, 1, "refused")
    failing = run()
    assert outcomes(failing) == {"passed": 2, "failed": 2}
    failing.stdout.fnmatch_lines(["*< 0.8, n=3, errors=1 (counted as 0)", "  2: 0  error: ConnectionError: refused"])


@pytest.mark.parametrize(
    "special",
    ["assert value == 'right'", "raise AssertionError('not right')", "raise AssertionError"],
)
def test_a_failed_assertion_is_a_miss_and_no_error(suite, run, special):
    suite(1, "wrong", special=special)
    result = run()
    result.stdout.fnmatch_lines(["accuracy 0.5 * < 0.8, n=2, unrecorded=1 (counted as 0)"])
    result.stdout.re_match_lines([r"  1: 0  recorded no 'accuracy': (assert 'wrong' == 'right'|AssertionError.*)"])


def test_an_assertion_in_a_fixture_is_an_error(pytester, run):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def broken():
            assert False, "no server"

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        def test_it(broken, score):
            score("accuracy", 1)
        """
    )
    result = run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["accuracy 0 * < 0.8, n=1, errors=1 (counted as 0)", "  *error: AssertionError: no server*"]
    )


def test_a_broken_teardown_makes_an_error_of_a_case(pytester, run):
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def connection():
            yield
            raise OSError("lost")

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        def test_it(connection, score):
            score("accuracy", 1)
        """
    )
    result = run()
    assert outcomes(result) == {"passed": 1, "errors": 1, "failed": 1}
    result.stdout.fnmatch_lines(["  *error: OSError: lost*"])


def test_skipped_cases_are_left_out_and_expected_failures_are_not(pytester, run):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.dspex_gate("accuracy", min=0.8)
        @pytest.mark.parametrize("value", [1, pytest.param(0, marks=pytest.mark.skip(reason="later"))])
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
    assert outcomes(result) == {"passed": 3, "failed": 1, "skipped": 1, "xfailed": 1}
    result.stdout.fnmatch_lines(["FAILED *test_xfails[[]gate-accuracy] - accuracy 0.5*"])


# Usage errors


def test_a_score_that_nothing_records_is_a_usage_error_that_says_what_is_recorded(pytester, run):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.dspex_gate("acuracy", min=0)
        @pytest.mark.parametrize("number", range(3))
        def test_cases(number, score):
            score("accuracy", 1)
        """
    )
    result = run()
    assert result.ret == 4
    result.stdout.fnmatch_lines(["no test recorded 'acuracy'; recorded: 'accuracy'"])


def test_a_test_that_only_ever_errs_is_no_usage_error(suite, run):
    suite("refused", "refused")
    assert run().ret == 1


# Parts of a test


@pytest.mark.parametrize("selection", [("-k", "0 or 1"), ("test_it.py::test_cases[0]",)])
def test_a_selection_leaves_the_gate_not_evaluated_and_the_session_green(suite, run, selection):
    suite(0, 0, 0, 0, 0)
    result = run("-rs", *selection)
    assert result.ret == 0
    assert outcomes(result)["skipped"] == 1
    result.stdout.re_match_lines([r"SKIPPED .*not evaluated: [12]/5 cases: the others were not selected"])


def test_a_gate_of_which_no_case_was_selected_is_not_mentioned(suite, run):
    suite(0, 0, test_other="def test_other(): pass")
    result = run("-k", "test_other")
    assert outcomes(result) == {"passed": 1, "deselected": 2}
    result.stdout.no_fnmatch_line("*dspex*")


def test_stopping_at_the_first_failure_leaves_the_gate_not_evaluated(suite, run):
    suite(1, "wrong", *[1] * 30, special="assert False")
    result = run("-x", "-rs")
    assert result.ret in (1, 2)  # pytest's, and xdist's
    result.stdout.re_match_lines([r"SKIPPED .*not evaluated: \d+/32 cases: the session did not run them"])
    result.stdout.no_fnmatch_line("*gate-accuracy* PASSED*")


def test_running_only_the_last_failures_leaves_the_gate_not_evaluated(suite, run):
    suite(1, 1, 1, 1, "wrong", special="assert False")
    assert outcomes(run()) == {"passed": 5, "failed": 1}
    result = run("--lf")
    assert result.ret == 1
    assert outcomes(result)["failed"] == 1
    assert outcomes(result)["skipped"] == 1


def test_a_gate_that_failed_alone_makes_the_next_lf_run_all_its_cases(suite, run):
    suite(1, 0)
    assert run().ret == 1
    suite(1, 1)
    result = run("--lf")
    assert result.ret == 0
    assert outcomes(result) == {"passed": 3}


@pytest.mark.parametrize("option", ["--collect-only", "--setup-only"])
def test_a_session_that_runs_no_test_bodies_says_nothing_of_gates(suite, pytester, option):
    suite(0, 0)
    result = pytester.runpytest_subprocess(option)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*gate*")
    result.stdout.no_fnmatch_line("*dspex =*")


# Crashes and lost reports


def test_a_worker_that_dies_leaves_the_gate_not_evaluated(suite, pytester):
    suite(1, "out of memory", 1, 1, 1, special=DIE)
    result = pytester.runpytest_subprocess("-n", "2", "-rs")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["SKIPPED *not evaluated: 4/5 cases: the session did not run them"])


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_whose_report_cannot_travel_never_ends_green(suite, pytester, workers):
    suite(
        *[1] * 6,
        conftest="""
            import pytest

            @pytest.fixture(autouse=True)
            def unserialisable(request, record_property):
                if request.node.name == "test_cases[5]":
                    record_property("object", object())
        """,
    )
    result = pytester.runpytest_subprocess("-n", str(workers))
    assert result.ret != 0
    result.stdout.no_fnmatch_line("*gate-accuracy*PASSED*")


def test_a_report_that_got_lost_fails_the_gate(suite, run):
    suite(
        *[1] * 5,
        conftest="""
            import pytest

            @pytest.hookimpl(tryfirst=True)
            def pytest_runtest_protocol(item):
                if item.name == "test_cases[3]":
                    return True  # swallowed: another plugin said that it ran the test
        """,
    )
    result = run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["4/5 cases: 1 that were selected never reported"])


def test_a_lost_report_fails_a_test_without_a_gate_too(pytester, run):
    pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtest_protocol(item): return True"
    )
    pytester.makepyfile("def test_it(score): score('accuracy', 1)")
    result = run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*test_it: 0/1 cases: 1 that were selected never reported"])


# Reruns

RERUN = """
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


def test_a_rerun_replaces_the_attempt_before_it(pytester, run):
    pytester.makeconftest(RERUN)
    pytester.makepyfile(
        """
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
    result = run()
    assert result.ret == 0
    result.stdout.re_match_lines([r"\S+test_cases +accuracy +1 .* 3 +0 +>= 0.8 +passed"])


def test_a_rerun_that_never_came_leaves_its_case_unreported(pytester):
    results, config = SessionResults(), pytester.parseconfigure()
    session = pytest.Session.from_config(config)
    config.hook.pytest_sessionstart(session=session)
    results.add_expected({"test_it.py::test_it": {"cases": 1, "gates": [{"name": "accuracy", "min": 0.5}]}})
    results.add_selected(["test_it.py::test_it"])
    record = (
        "dspex",
        json.dumps({"function": "test_it.py::test_it", "scores": {"accuracy": {"value": 1, "feedback": ""}}}),
    )
    for when, outcome in (("setup", "passed"), ("call", "rerun"), ("teardown", "passed")):
        results.add_report(
            pytest.TestReport(
                "test_it.py::test_it", ("test_it.py", 0, "test_it"), {}, outcome, None, when, user_properties=[record]
            )
        )
    session.exitstatus = pytest.ExitCode.OK
    results.finish(session)
    (verdict,) = results.report().suites[0].verdicts
    assert (verdict.status, session.exitstatus) == ("failed", pytest.ExitCode.TESTS_FAILED)
    assert verdict.reason == "0/1 cases: 1 that were selected never reported"


# What others see


def test_junit_xml_has_the_gates_as_test_cases(pytester, run):
    pytester.makepyfile(
        """
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


def test_a_session_without_gates_reports_its_scores_and_stays_as_it_was(pytester, run):
    pytester.makepyfile("def test_it(score): score('accuracy', 0.25)")
    result = run()
    assert result.ret == 0
    assert outcomes(result) == {"passed": 1}
    result.stdout.re_match_lines([r"\S+test_it +accuracy +0.25 .*"])


def test_a_session_without_dspex_tests_is_not_touched(pytester, run):
    pytester.makepyfile("def test_it(): pass")
    result = run()
    assert (result.ret, outcomes(result)) == (0, {"passed": 1})
    result.stdout.no_fnmatch_line("*dspex =*")
