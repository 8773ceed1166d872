"""The hooks that other plugins and conftests implement."""

import pytest

TEST = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"], metrics=["right"])
    def test_qa(prediction):
        pass
"""
RIGHT = """
    def pytest_dspex_metrics():
        return {"right": lambda example, prediction: example.answer == prediction.answer}
"""


@pytest.fixture
def live(alone):
    return lambda *arguments: alone("--dspex-live", *arguments)


def test_a_metric_of_a_plugin_is_used_by_its_name(project, live):
    project.conftest(more=RIGHT)
    project.rows("red", "blue")
    project.test()
    project.test(TEST + "\n    test_qa = pytest.mark.dspex_gate('right', min=1)(test_qa)", name="test_more")
    live("test_more.py").assert_outcomes(passed=3)


def test_a_metric_by_name_may_have_another_name_as_a_score(project, live):
    project.conftest(more=RIGHT)
    project.rows("red")
    project.test(TEST.replace('["right"]', '{"accuracy": "right"}'))
    live().stdout.fnmatch_lines(["  accuracy * 1.00 *"])


def test_an_unknown_metric_is_one_message_with_the_known_ones(project, live):
    project.conftest(more=RIGHT)
    project.rows("red", "blue")
    project.test(TEST.replace("right", "rihgt"))
    result = live()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*names the metric 'rihgt', which is not known; there are: 'right'"])


def test_a_conftests_metrics_are_those_of_the_tests_below_its_folder(project, live, pytester):
    project.rows("red", name="inner/data.jsonl")
    project.rows("red", name="outer/data.jsonl")
    pytester.makepyfile(**{"inner/conftest": "", "inner/test_one": "", "outer/test_two": ""})
    for name, text in {"inner/conftest.py": RIGHT, "inner/test_one.py": TEST, "outer/test_two.py": TEST}.items():
        (project.path / name).write_text("\n".join(line[4:] for line in text.splitlines()))
    live("inner").assert_outcomes(passed=1)
    result = live("inner", "outer")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*outer/test_two.py::test_qa*names the metric 'right', which is not known*"])


def test_two_plugins_with_a_metric_of_one_name_are_an_error_that_names_both(project, live, pytester):
    pytester.makepyfile(other=RIGHT)
    project.conftest(more="    pytest_plugins = ['other']\n" + RIGHT)
    project.rows("red")
    project.test(TEST)
    result = live()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*the plugins 'other' and '*conftest.py' both have a metric 'right'*"])


def test_a_plugin_loads_a_dataset_and_leaves_the_others(project, live):
    project.conftest(
        more="""
        ASKED = []

        def pytest_dspex_load_dataset(source, folder):
            ASKED.append(source)
            if source == "db:colours":
                return ({"question": f"Say {name}", "answer": name} for name in ("red", "blue"))

        def pytest_unconfigure():
            print("asked for:", ASKED)
        """
    )
    project.rows("green")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("db:colours", inputs=["question"])
        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example, prediction):
            assert prediction.answer == example.answer

        def test_evaluate(evaluate, qa):
            result = evaluate(qa, "db:colours", metric=lambda example, made: example.answer == made.answer)
            assert (result.mean, len(result)) == (1, 2)
        """
    )
    result = live()
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["asked for: [[]'db:colours', 'data.jsonl'[]]"])  # each once


def test_the_lm_of_a_plugin_is_that_of_the_session(project, run, pytester):
    project.conftest(
        more="""
        from dspex_core import ScriptedLM

        del lm

        def pytest_dspex_lm():
            return ScriptedLM(lambda request: {"answer": "red"})
        """
    )
    project.rows("red")
    project.test()
    run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("hook", "problem"),
    [
        ("pytest_dspex_metrics(): return [len]", "returned [[]<built-in function len>[]]; it must return a dict*"),
        ("pytest_dspex_metrics(): return {'right': 1}", "returned {'right': 1}; it must return a dict*"),
        ("pytest_dspex_metrics(): raise KeyError('x')", "raised KeyError: 'x'"),
        ("pytest_dspex_load_dataset(): return 3", "returned 3; it must return rows*"),
        ("pytest_dspex_load_dataset(): return ['a', 'b']", "returned rows for 'data.jsonl' that cannot be read*"),
        ("pytest_dspex_load_dataset(): return (1 / 0 for _ in 'a')", "returned rows for * division by zero"),
        ("pytest_dspex_load_dataset(): raise OSError('no database')", "raised OSError: no database"),
    ],
)
def test_a_misbehaving_plugin_ends_the_session_with_one_message_that_names_it(project, live, hook, problem):
    project.conftest(more=f"def {hook}")
    project.rows("red", "blue")
    project.test(TEST)
    result = live()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = hook.partition("(")[0]
    result.stderr.fnmatch_lines([f"*the hook {name} of the plugin '*conftest.py' {problem}"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()


@pytest.mark.parametrize(
    ("made", "problem"), [("'gpt'", "returned 'gpt'; it must return an LM*"), ("1 / 0", "raised *")]
)
def test_a_plugin_whose_lm_is_not_an_lm_ends_the_session(project, live, made, problem):
    project.conftest(more=f"del lm\ndef pytest_dspex_lm(): return {made}")
    project.test("def test_it(lm): pass")
    result = live()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"*the hook pytest_dspex_lm of the plugin '*conftest.py' {problem}"])


REDACT = """
    def pytest_dspex_redact(text):
        return text.replace("Ann", "<name>")
"""


def test_plugins_redact_all_texts_of_reports(project, run, pytester):
    project.conftest(more="    pytest_plugins = ['later']\n" + REDACT)
    pytester.makepyfile(
        later="""
        import pytest

        @pytest.hookimpl(trylast=True)
        def pytest_dspex_redact(text):
            return text.replace("<name>", "<N>")
        """
    )
    project.rows("red")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data([{"id": 1, "question": "Say Ann", "answer": "Bob"}], inputs=["question"])
        @pytest.mark.dspex_gate("right", min=1)
        def test_qa(example, prediction, score):
            print("captured", prediction.answer)
            score("right", False, f"{prediction.answer} is wrong")
            raise ValueError(f"It is {prediction.answer}")
        """
    )
    result = run("--dspex-live", "--junitxml=junit.xml", "--dspex-partial=part.json")
    result.assert_outcomes(failed=2)
    written = [(project.path / name).read_text() for name in ("junit.xml", "part.json")]
    for text in [result.stdout.str(), *written]:
        assert "Ann" not in text
    result.stdout.fnmatch_lines(["*ValueError: It is <N>", "captured <N>"])
    assert "Say <N>" in written[1]


@pytest.mark.parametrize(
    ("body", "problem"), [("return 3", "returned 3; it must return a text, or None"), ("1 / 0", "raised ZeroDiv*")]
)
def test_a_text_is_not_shown_if_its_redaction_fails(project, alone, body, problem):
    project.conftest(more=f"def pytest_dspex_redact(text): {body}")
    project.test("def test_it(score): score('x', 1); raise ValueError('Ann')")
    result = alone()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"*the hook pytest_dspex_redact of the plugin '*conftest.py' {problem}*"])
    assert "Ann" not in result.stdout.str()


def test_a_failed_redaction_in_a_worker_ends_the_session_too(project, on_two_workers):
    project.conftest(more="def pytest_dspex_redact(text): 1 / 0")
    project.test("def test_it(score): score('x', 1); raise ValueError('Ann')")
    result = on_two_workers()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["ERROR: the hook pytest_dspex_redact of the plugin '*conftest.py' raised ZeroDiv*"])
    assert "Ann" not in result.stdout.str()


def test_a_wrapper_around_a_hook_sees_its_result(project, live):
    project.conftest(
        more=RIGHT
        + """
    import pytest

    class Wrapper:
        @pytest.hookimpl(wrapper=True)
        def pytest_dspex_metrics(self):
            return [{**(yield)[0], "more": lambda example, prediction: 0.5}]

    def pytest_configure(config):
        config.pluginmanager.register(Wrapper())
    """
    )
    project.rows("red")
    project.test(TEST.replace('"right"', '"more"'))
    live().stdout.fnmatch_lines(["  more * 0.5 *"])


def test_the_judge_is_the_lm_unless_the_ini_key_names_another(project, live, pytester):
    project.test(
        """
        def test_it(judge_lm, lm, request):
            wanted = request.config.getini("dspex_judge_lm")
            assert judge_lm.model == wanted if wanted else judge_lm is lm
        """
    )
    project.test(
        """
        import pytest
        from dspex_core import settings

        @pytest.fixture
        def lm(lm):
            return type(lm)("test/own")

        def test_own_lm(lm, request):  # of another scope than the judge
            wanted = request.config.getini("dspex_judge_lm")
            assert settings.judge_lm.model == wanted if wanted else settings.judge_lm is None
        """,
        name="test_more",
    )
    live().assert_outcomes(passed=2)
    pytester.makeini("[pytest]\ndspex_judge_lm = openai/gpt-4o-mini")
    pytester.runpytest_inprocess().assert_outcomes(passed=2)


def test_a_judge_that_is_not_set_up_matters_only_where_it_is_used(project, alone, pytester, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    pytester.makeini("[pytest]\ndspex_judge_lm = openai/gpt-4o-mini")
    project.test("def test_it(qa):\n    qa(question='Say yes')\n")
    alone("--dspex-live").assert_outcomes(passed=1)
    project.test("def test_judged(judge_lm, lm):\n    pass\n")
    result = alone("--dspex-live")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*openai/gpt-4o-mini*"])


def test_calls_of_the_judge_are_recorded(project, alone):
    project.test(
        """
        def test_it(judge_lm):
            assert judge_lm("Say yes")[0].endswith("yes")
        """
    )
    alone("--dspex-record=new").assert_outcomes(passed=1)
    project.forget_calls()
    alone().assert_outcomes(passed=1)
    assert project.calls == []


GATE = """
    from pytest_dspex.hookspecs import GateDecision

    def pytest_dspex_gate(test, cases, verdicts):
        low = [case.name for case in cases if case.scores["right"].value < 1]
        return GateDecision("{name}", "failed" if low else "passed", f"{{len(low)}} of {{len(cases)}} are wrong")
"""
SCORED = """
    import pytest

    @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
    @pytest.mark.dspex_gate("right", min=0.5)
    def test_qa(prediction, score):
        score("right", prediction.answer != "blue")
"""


def test_a_plugin_decides_a_gate_of_its_own(project, run):
    project.conftest(more=GATE.format(name="all"))
    project.rows("red", "blue")
    project.test(SCORED)
    result = run("--dspex-live")
    result.assert_outcomes(passed=3, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["test_it.py::test_qa[[]gate-all[]] failed: 1 of 2 are wrong"])


def test_a_plugin_fails_a_gate_of_the_test_and_cannot_pass_it(project, live):
    project.conftest(more=GATE.format(name="right"))
    project.rows("red", "blue")
    project.test(SCORED)
    result = live()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*test_qa*gate-right*failed: 1 of 2 are wrong (decided by the plugin '*conftest.py')*"]
    )
    project.conftest(more=GATE.format(name="right").replace('"failed" if low', '"passed" if low'))
    project.test(SCORED.replace("min=0.5", "min=0.9"))
    result = live()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=2, failed=1)


def test_a_plugins_gate_is_not_evaluated_on_a_part_of_the_cases(project, live):
    project.conftest(more=GATE.format(name="all"))
    project.rows("red", "green")
    project.test(SCORED)
    result = live("-k", "red")
    assert result.ret == 0
    result.assert_outcomes(passed=1, skipped=2, deselected=1)


def test_a_plugins_gate_is_decided_over_merged_results_too(project, live, alone):
    project.conftest(more=GATE.format(name="all"))
    project.rows("red", "blue")
    project.test(SCORED)
    live("-k", "red", "--dspex-partial=parts")
    live("-k", "blue", "--dspex-partial=parts")
    result = alone("--dspex-merge=parts")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*1 of 2 gates passed*"])


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return True", "returned True; it must return a GateDecision, or several, or None"),
        ("return [('a', 'passed', '')]", "returned [[]('a', 'passed', '')[]]; it must return*"),
        ("return cases[0].scores['missing']", "raised KeyError: 'missing'"),
    ],
)
def test_the_mistake_of_a_plugin_in_a_gate_is_a_failed_gate_that_names_it(project, live, body, problem):
    project.conftest(more=f"def pytest_dspex_gate(cases): {body}")
    project.rows("red")
    project.test(SCORED)
    result = live()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines([f"the hook pytest_dspex_gate of the plugin '*conftest.py' {problem}"])


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        ("[len]", "*the hook pytest_dspex_report of the plugin '*conftest.py' returned [[]<built-in function len>[]]*"),
        ("{}", "*has 'own:out.txt'; write KIND:PATH with one of the kinds html, json and md, as in*"),
        ("{'other': str}", "*has 'own:out.txt'; write KIND:PATH with one of the kinds html, json, md and other*"),
    ],
)
def test_a_format_that_no_plugin_has_ends_the_session_at_its_start(project, live, returned, problem):
    project.conftest(more=f"def pytest_dspex_report(): return {returned}")
    project.test("def test_it(score): score('x', 1)")
    result = live("--dspex-report=own:out.txt")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([problem])


@pytest.mark.parametrize(
    ("body", "problem"),
    [("report['missing']", "raised KeyError: 'missing'"), ("3", "is 3; it must be a text or bytes")],
)
def test_a_report_that_a_plugin_cannot_make_is_a_problem_of_the_session(project, live, body, problem):
    project.conftest(more=f"def pytest_dspex_report(): return {{'own': lambda report: {body}}}")
    project.test("def test_it(score): score('x', 1)")
    result = live("--dspex-report=own:out.txt")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"ERROR: *out.txt is not written: the report of the plugin '*conftest.py' {problem}*"])
    assert not (project.path / "out.txt").exists()
