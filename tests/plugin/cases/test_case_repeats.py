"""`dspex_repeat` and `--dspex-repeat`: attempts as items, judged together for each case."""

import json

import pytest


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


# Of the five attempts at a case, as many pass as its word says.
REPEATED = """
    import pytest

    PASSING = {{"none": 0, "one": 1, "three": 3, "four": 4, "all": 5}}

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_repeat({rule})
    def test_qa(example, prediction, request):
        number = int(request.node.name.rpartition("-")[2].partition("/")[0])
        assert number <= PASSING[prediction.answer]
"""


@pytest.mark.parametrize(
    ("rule", "words", "expected"),
    [
        ('5, require="3/5"', ["three", "all"], {"passed": 9, "xfailed": 2}),
        ('5, require="3/5"', ["one", "all"], {"passed": 6, "xfailed": 4, "failed": 1}),
        ("5, require=5", ["four"], {"passed": 4, "xfailed": 1, "failed": 1}),
        ("5, pass_at=1", ["one"], {"passed": 2, "xfailed": 4}),
        ("5, pass_at=3", ["none"], {"xfailed": 5, "failed": 1}),
        ("5, pass_pow=5", ["all"], {"passed": 6}),
        ("5, pass_pow=5", ["four"], {"passed": 4, "xfailed": 1, "failed": 1}),
        ("5, pass_at=1, min=0.5", ["four", "one"], {"passed": 6, "xfailed": 5}),
        ("5, pass_at=1, min=0.6", ["four", "one"], {"passed": 5, "xfailed": 5, "failed": 1}),
        ("5", ["four", "all"], {"passed": 9, "failed": 1}),
        ("1", ["all"], {"passed": 0, "errors": 1}),
    ],
)
def test_the_rule_decides_over_the_attempts_at_each_case(project, alone, rule, words, expected):
    project.rows(*words)
    source = REPEATED.format(rule=rule)
    if rule == "1":  # whose items have no attempt in their ids
        source = source.replace("number = int", "assert '/' not in request.node.name; number = 0 #")
        expected = {"passed": 1}
    project.test(source)
    result = alone("--dspex-live")
    assert outcomes(result) == expected
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if "failed" in expected else pytest.ExitCode.OK)


def test_a_rule_that_is_not_met_names_the_cases(project, run):
    project.rows("one", "none", "all")
    project.test(REPEATED.format(rule='5, require="3/5"'))
    result = run("--dspex-live", "-v")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes(result) == {"passed": 6, "xfailed": 9, "failed": 1}
    result.stdout.fnmatch_lines_random(["*test_it.py::test_qa[[]c-one-2/5]*", "*test_it.py::test_qa[[]c-all-5/5]*"])
    result.stdout.fnmatch_lines(
        [
            "*test_qa[[]repeat-3/5] FAILED*",
            "1 of 3 cases passed at least 3 of 5 attempts",
            "  c-none: 0 of 5 attempts passed  *assert 1 <= 0*",
            "  c-one: 1 of 5 attempts passed  *",
        ]
    )


def test_attempts_are_recorded_each_for_itself_and_the_first_as_the_case_without_repeats(project, run):
    project.rows("all")
    project.test(REPEATED.format(rule="5"))
    assert outcomes(run("--dspex-record=new")) == {"passed": 5}
    assert {"c-all", "c-all#2", "c-all#5"} <= {entry["case"] for entry in project.entries()}
    project.forget_calls()
    assert outcomes(run()) == {"passed": 5}
    assert outcomes(run("--dspex-repeat=3")) == {"passed": 3}
    project.test(
        REPEATED.format(rule="5").replace("number = int", "number = 1 #").replace("@pytest.mark.dspex_rep", "# ")
    )
    assert outcomes(run()) == {"passed": 1}
    assert project.calls == []


def test_attempts_that_are_selected_without_the_others_fail_by_themselves(project, alone):
    project.rows("three", "all")
    project.test(REPEATED.format(rule='5, require="3/5"'))
    result = alone("--dspex-live", "test_it.py::test_qa[c-three-4/5]", "test_it.py::test_qa[c-three-1/5]")
    assert outcomes(result) == {"passed": 1, "failed": 1}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('4, require="3/4"', {"passed": 1, "skipped": 1, "xfailed": 2, "failed": 1}),
        ('4, require="1/4"', {"passed": 1, "skipped": 2, "xfailed": 2}),
    ],
)
def test_attempts_that_are_skipped_do_not_hide_those_that_failed(project, alone, rule, expected):
    project.rows("late")
    project.test(
        f"""
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_repeat({rule})
        def test_qa(example, request):
            number = int(request.node.name.rpartition("-")[2].partition("/")[0])
            if number == 4:
                pytest.skip("too late")
            assert number == 1
        """
    )
    result = alone()
    assert outcomes(result) == expected
    assert (result.ret == pytest.ExitCode.TESTS_FAILED) == ("failed" in expected)


def test_a_miss_is_a_failure_whatever_the_rule(project, alone):
    project.rows("all")
    project.test(REPEATED.format(rule="5, pass_at=1"))
    alone("--dspex-record=new", "--dspex-repeat=2")
    result = alone()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcomes(result)["errors"] == 3
    assert outcomes(result)["skipped"] == 1  # the verdict, which is not evaluated


def test_the_option_repeats_the_tests_that_use_an_lm_and_no_others(project, alone):
    project.rows("all")
    project.test(
        """
        import pytest

        def test_program(qa):
            assert qa(question="Say yes").answer == "yes"

        def test_other():
            pass

        @pytest.mark.parametrize("word", ["a", "b"])
        def test_lm(lm, word):
            pass
        """
    )
    result = alone("--dspex-live", "--dspex-repeat=3", "-v")
    assert outcomes(result) == {"passed": 3 + 1 + 6}
    result.stdout.fnmatch_lines_random(
        ["*test_program[[]2/3] PASSED*", "*test_other PASSED*", "*test_lm[[]b-3/3] PASSED*"]
    )


def test_the_option_keeps_the_share_that_a_rule_requires(project, alone):
    project.rows("three")
    project.test(REPEATED.format(rule='5, require="3/5"'))
    assert outcomes(alone("--dspex-live", "--dspex-repeat=4")) == {"passed": 4, "xfailed": 1}
    assert outcomes(alone("--dspex-live", "--dspex-repeat=10")) == {"passed": 3, "xfailed": 7, "failed": 1}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "has the positional arguments (); give it one, the number of attempts"),
        ("0", "has the positional arguments (0,)"),
        ("True", "has the positional arguments (True,)"),
        ('5, require="3/4"', "has require='3/4'; write how many of the attempts must pass: require='3/5'"),
        ('5, require="6/5"', "has require='6/5'"),
        ("5, require=0.5", "has require=0.5"),
        ("5, pass_at=6", "has pass_at=6; it must be a whole number from 1 to 5"),
        ("5, pass_pow=0", "has pass_pow=0"),
        ("5, pass_at=1, pass_pow=1", "has both pass_at and pass_pow; keep one"),
        ("5, min=0.5", "has min= without pass_at= or pass_pow="),
        ("5, pass_at=1, min=2", "has min=2; it must be a number from 0 to 1"),
        ("5, times=3", "has an unknown argument 'times'; it takes require, pass_at, pass_pow, min"),
    ],
)
def test_a_wrong_rule_is_one_message(project, alone, rule, message):
    project.rows("all")
    project.test(REPEATED.format(rule=rule))
    result = alone()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert result.stderr.str().count(message) == 1
    assert "Traceback" not in result.stderr.str()


def test_a_verdict_is_reported_as_a_whole_test(project, alone):
    project.rows("all", "three")
    project.conftest(
        more="""
        PHASES = {}
        def pytest_runtest_logreport(report):
            PHASES.setdefault(report.nodeid, []).append(report.when)
        def pytest_unconfigure():
            print([name for name, phases in PHASES.items() if phases[-2:] != ["call", "teardown"]])
        """
    )
    project.test(REPEATED.format(rule="5, pass_at=1"))
    result = alone("-s", "--dspex-record=new", "--junitxml=junit.xml")
    result.stdout.fnmatch_lines(["[[][]]"])
    assert 'tests="11"' in (project.path / "junit.xml").read_text()


def test_reports_count_rows_and_attempts(project, alone):
    project.rows("all", "four")
    scored = REPEATED.format(rule="5, pass_at=1").replace("prediction, request", "prediction, request, score")
    project.test(scored + '        score("right", 1)\n')
    alone("--dspex-record=new", "--dspex-report=json:r.json,md:r.md", "--junitxml=junit.xml")
    [suite] = json.loads((project.path / "r.json").read_text())["suites"]
    [score] = suite["scores"]
    assert (score["n"], score["attempts"]) == (2, 10)
    assert "| 2 (10) |" in (project.path / "r.md").read_text()
