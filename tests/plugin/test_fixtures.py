"""The fixtures `lm`, `score`, `check`, `evaluate`, `scripted_lm` and `example`."""

import pytest


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


# check


def test_failed_checks_are_all_told_at_the_end(project, alone):
    project.test(
        """
        def test_it(check):
            assert check(1 == 1, "one") is True
            assert check(1 == 2, "two") is False
            check("", "three")
        """
    )
    result = alone()
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["2 failed checks:", "  - two", "  - three"])
    result.stdout.no_fnmatch_line("*  - one")


def test_checks_before_a_failed_assertion_are_told_beside_it(project, alone):
    project.test(
        """
        def test_it(check):
            check(False, "the check")
            assert 1 == 2, "the assertion"
        """
    )
    result = alone()
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["*the assertion*", "*checks*", "1 failed checks:", "  - the check"])


def test_checks_that_hold_are_not_told(project, alone):
    project.test("def test_it(check):\n    check(True, 'fine')")
    result = alone()
    assert outcomes(result) == {"passed": 1}


def test_checks_that_fail_in_the_teardown_of_a_fixture_fail_the_case(project, alone):
    project.test(
        """
        import pytest

        @pytest.fixture
        def connection(check):
            check(True, "opened")
            yield
            check(False, "closed too late")

        def test_one(connection): pass
        def test_two(check, connection):
            check(False, "in the test")
        """
    )
    result = alone()
    result.assert_outcomes(passed=1, failed=1, errors=2)
    for name in ("test_one", "test_two"):
        result.stdout.fnmatch_lines([f"*ERROR at teardown of {name}*", "1 failed checks:", "  - closed too late"])


@pytest.mark.parametrize("name", ["check", "score", "evaluate"])
def test_a_fixture_that_a_test_asks_for_too_late_says_so(project, alone, name):
    project.test(f"def test_it(request): request.getfixturevalue({name!r})")
    result = alone()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"*asks for the fixture '{name}' only while it runs; make it a parameter of the test*"]
    )


# score


def test_a_score_does_not_fail_a_test(project, run):
    project.test("def test_it(score):\n    score('accuracy', False)")
    result = run()
    assert outcomes(result) == {"passed": 1}
    result.stdout.re_match_lines([r"test_it\.py::test_it$", r" +accuracy +0\.00 "])


def test_a_score_may_be_what_a_metric_returns(project, alone):
    project.test(
        """
        import pytest
        from dspex_core import Score

        @pytest.mark.dspex_gate("rouge", min=0.9)
        def test_it(score):
            score("rouge", Score(0.5, "half of it"))
        """
    )
    alone().stdout.fnmatch_lines(["*test_it: 0.5  half of it"])


def test_a_score_that_is_no_number_fails_the_test(project, alone):
    project.test("def test_it(score):\n    score('accuracy', 'high')")
    result = alone()
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["*score('accuracy', 'high')", "E *'high'*"])
    result.stdout.no_fnmatch_line("*metrics.py:*")


# evaluate


EVALUATE = """
    from dspex_core import exact_match

    def test_whole_set(qa, evaluate):
        result = evaluate(qa, "data.jsonl", metric=exact_match("answer"){more})
        assert result >= {threshold}
"""


def test_a_program_is_evaluated_on_a_whole_dataset(project, run):
    project.rows("red", "blue")
    project.test(EVALUATE.format(threshold=1.0, more=""))
    result = run("--dspex-live")
    assert outcomes(result) == {"passed": 1}
    result.stdout.re_match_lines([r".*test_whole_set$", r" +exact_match +1\.00 "])


def test_an_evaluation_that_falls_short_says_which_examples_failed(project, alone):
    project.rows("red", "blue", "silent", *(f"w{number} x" for number in range(6)))
    project.test(EVALUATE.format(threshold=0.9, more=', inputs=["question"]'))
    result = alone("--dspex-live")
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(
        [
            "E *exact_match* 0.222 >= 0.9*",
            "E *95 % interval 0.* to 0.*, n=9, 1 errors",
            "E *  c-silent: 0  adapter failed: AdapterParseError: *",
            "E *  c-w0 x: 0  *",
            "E *  ... and 2 more below 1",
        ]
    )


def test_other_comparisons_are_explained_by_pytest(project, alone):
    project.test("from dspex_core import Evaluate\n\ndef test_it(evaluate):\n    assert 1 == 2")
    alone().stdout.fnmatch_lines(["E       assert 1 == 2"])


def test_a_function_can_be_evaluated_on_examples(project, alone):
    project.test(
        """
        from dspex_core import Example, Prediction, exact_match

        EXAMPLES = [Example(question="2 + 2", answer="4").with_inputs("question")]

        def test_it(evaluate):
            result = evaluate(lambda question: Prediction(answer="4"), EXAMPLES, metric=exact_match("answer"))
            assert result >= 1.0
        """
    )
    assert outcomes(alone()) == {"passed": 1}


def test_predictions_that_are_not_recorded_end_the_evaluation(project, alone):
    project.rows("red", "blue")
    project.test(EVALUATE.format(threshold=0.9, more=""))
    result = alone()
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["test_whole_set calls 'test/echo', and no call is recorded yet*"])


# lm, and settings


def test_the_lm_is_that_of_the_ini_key(project, alone, pytester):
    pytester.makeconftest("")
    (project.path / "pytest.ini").write_text("[pytest]\ndspex_lm = openai/gpt-4o-mini\n")
    project.test(
        """
        from dspex_core import settings

        def test_it(lm):
            assert settings.lm is lm
            assert (lm.model, lm.config["temperature"]) == ("openai/gpt-4o-mini", 0.0)
        """
    )
    assert outcomes(alone()) == {"passed": 1}


def test_by_default_the_lm_is_the_embedded_one_and_is_not_started(project, alone, pytester):
    pytester.makeconftest("")
    project.test("def test_it(lm):\n    assert lm.model == 'local/smollm2-135m-instruct'")
    assert outcomes(alone()) == {"passed": 1}


@pytest.mark.parametrize("scope", ["function", "module", "session"])
def test_the_lm_may_be_overridden_at_any_scope(project, alone, scope):
    project.rows("red")
    project.test(
        f"""
        import pytest
        from dspex_core import ScriptedLM, exact_match, settings

        @pytest.fixture(scope="{scope}")
        def lm():
            return ScriptedLM(lambda request: {{"answer": "mine"}})

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_prediction(prediction):
            assert prediction.answer == "mine"

        def test_program(qa):
            assert qa(question="?").answer == "mine"

        def test_evaluate(qa, evaluate):
            assert evaluate(qa, "data.jsonl", metric=exact_match("answer")) <= 0

        def test_settings(lm):
            assert settings.lm is lm
        """
    )
    assert outcomes(alone()) == {"passed": 4}


def test_settings_do_not_leak_into_the_next_test(project, alone):
    project.test(
        """
        from dspex_core import configure, settings

        def test_first(qa):
            configure(num_threads=3, lm=None)
            assert settings.num_threads == 3

        def test_second(qa, lm):
            assert settings.num_threads == 8
            assert settings.lm is lm

        def test_third():
            assert settings.lm is None
            assert settings.recorder is not None
        """
    )
    assert outcomes(alone()) == {"passed": 3}


def test_no_setting_of_a_test_is_left_after_the_session(project, alone):
    from dspex_core import settings

    project.test("def test_it(qa, scripted_lm):\n    scripted_lm(['a'])")
    before = settings.current()
    assert outcomes(alone()) == {"passed": 1}
    assert settings.current() == before


def test_settings_of_threads_and_event_loops_are_those_of_the_test(project, alone):
    project.test(
        """
        import asyncio

        def test_it(qa):
            assert asyncio.run(qa.acall(question="Say red")).answer == "red"
        """
    )
    assert outcomes(alone("--dspex-record=new")) == {"passed": 1}
    assert outcomes(alone()) == {"passed": 1}
    assert project.calls == ["Say red"]


# scripted_lm


def test_a_scripted_lm_answers_for_the_rest_of_its_test(project, alone):
    project.test(
        """
        from dspex_core import ScriptedLM, settings

        def test_scripted(qa, scripted_lm):
            used = scripted_lm([{"answer": "one"}, {"answer": "two"}])
            assert [qa(question="?").answer, qa(question="?").answer] == ["one", "two"]
            assert len(used.history) == 2

        def test_next(qa, lm):
            assert settings.lm is lm

        def test_without_a_program(scripted_lm):
            assert scripted_lm(["hello"])("?") == ["hello"]
        """
    )
    assert outcomes(alone()) == {"passed": 3}
    assert not (project.path / "cassettes").exists()


# example


def test_example_without_a_dataset_says_what_is_missing(project, alone):
    project.test("def test_it(prediction):\n    pass")
    result = alone()
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines(
        ["test_it.py::test_it uses the fixture `prediction`*mark it with @pytest.mark.dspex_data(path, inputs=[[]...])"]
    )


def test_the_help_shows_the_flags_and_pytest_the_markers(pytester):
    shown = pytester.runpytest_subprocess("--help").stdout.str()
    for text in ("--dspex-live", "--dspex-record=", "--dspex-optimize=", "dspex_lm (string)", "dspex_concurrency"):
        assert text in shown
    pytester.runpytest_inprocess("--markers").stdout.fnmatch_lines(
        ["@pytest.mark.dspex_data(dataset, inputs=*", "@pytest.mark.dspex_gate(score, min=*"]
    )


@pytest.mark.parametrize("switched_off", [("-p", "no:terminal"), ("-p", "no:xdist"), ("-p", "no:cacheprovider")])
def test_other_plugins_need_not_be_there(project, pytester, switched_off):
    project.rows("red")
    project.test()
    result = pytester.runpytest_subprocess(*switched_off, "--dspex-live")
    assert result.ret == 0
    assert project.calls == ["Say red"]


# Failures


def test_an_error_of_dspex_in_a_test_shows_the_line_of_the_test_and_the_message(project, alone):
    project.test("def test_it(qa):\n    assert qa(question='Say silent')")
    result = alone("--dspex-live")
    result.stdout.fnmatch_lines(
        [">*assert qa(question='Say silent')", "E *AdapterParseError: *", "test_it.py:2: Adapter*"]
    )
    result.stdout.no_fnmatch_line("*During handling of the above exception*")
    result.stdout.no_fnmatch_line("*dspex_core/*")


def test_what_led_to_an_error_is_shown_without_the_library(project, alone):
    project.test(
        """
        def test_it(qa):
            try:
                qa(question="Say broken")
            except ValueError as error:
                raise RuntimeError("no answer") from error
        """
    )
    result = alone("--dspex-live")
    result.stdout.fnmatch_lines(
        ["E *ValueError: the LM is broken", "The above exception was the direct cause *", "E *RuntimeError: no answer"]
    )
    result.stdout.no_fnmatch_line("*dspex_core/*")


def test_an_endless_recursion_is_shown_as_pytest_does(project, alone):
    project.test("def test_it(qa):\n    def deeper():\n        deeper()\n    deeper()")
    result = alone()
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["E *RecursionError: *"])


def test_an_async_test_case_of_unittest_sees_what_its_fixtures_have_set(project, pytester):
    project.test("""
        import unittest
        import pytest
        from dspex_core import Predict

        class TestAsking(unittest.IsolatedAsyncioTestCase):
            @pytest.fixture(autouse=True)
            def scripted(self, scripted_lm):
                scripted_lm([{"answer": "red"}])

            async def asyncSetUp(self):
                self.asked = await Predict("question -> answer").acall(question="q")

            async def test_answer(self):
                self.assertEqual(self.asked.answer, "red")
    """)
    pytester.runpytest_inprocess().assert_outcomes(passed=1)
