"""The fixture `prediction`: made once, ahead of its test, by the program and the LM of its test."""

import asyncio

import pytest

FAILURE = 1


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


def names(*numbers):
    return [f"w{number}" for number in numbers]


def test_each_prediction_is_made_once(project, run):
    project.rows(*names(*range(12)))
    project.test()
    assert outcomes(run("--dspex-live")) == {"passed": 12}
    assert sorted(project.calls) == sorted(f"Say w{number}" for number in range(12))


def test_two_tests_on_the_same_rows_have_predictions_of_their_own(project, alone):
    project.rows("red")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_one(prediction):
            prediction.answer = "changed"

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_two(prediction):
            assert prediction.answer == "red"
        """
    )
    assert outcomes(alone("--dspex-live")) == {"passed": 2}


MEETING = """
    import threading

    import pytest
    from dspex_core import BaseLM, LMOutput, LMResponse, Predict
    from pytest_dspex import program

    # Nobody gets past it alone: it opens when as many calls wait as may run at once.
    MEETING = threading.Barrier({width}, timeout=20)

    class MeetingLM(BaseLM):
        def complete(self, request):
            MEETING.wait()
            return LMResponse((LMOutput("[[ ## answer ## ]]\\nyes"),), model=self.model)

    @pytest.fixture(scope="session")
    def lm():
        return MeetingLM("test/meeting")

    @program
    def qa():
        return Predict("question -> answer")
"""


@pytest.mark.parametrize("width", [1, 3, 8])
def test_as_many_predictions_run_at_once_as_the_ini_key_says(project, alone, width):
    project.conftest(MEETING.format(width=width))
    (project.path / "pytest.ini").write_text(f"[pytest]\ndspex_concurrency = {width}\n")
    project.rows(*names(*range(2 * width)))
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(prediction):
            assert prediction.answer == "yes"
        """
    )
    assert outcomes(alone("--dspex-live")) == {"passed": 2 * width}


def test_in_a_replay_predictions_are_made_ahead_once_a_program_has_waited(project, alone):
    project.conftest(
        """
        import threading
        import time
        from pytest_dspex import program

        MAIN, MEETING = threading.main_thread(), threading.Barrier(2)

        @program
        def qa():
            def answer(question):
                if threading.current_thread() is MAIN:
                    time.sleep(0.5)
                    return "here"
                MEETING.wait(60)
                return "ahead"

            return answer
        """
    )
    project.rows(*names(*range(5)))
    project.test(
        """
        import pytest

        SEEN = []

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(prediction):
            SEEN.append(prediction)

        def test_all():
            assert SEEN == ["here", "ahead", "ahead", "ahead", "ahead"]
        """
    )
    assert outcomes(alone()) == {"passed": 6}


def test_in_a_replay_within_an_event_loop_a_program_may_have_one_of_its_own(project, pytester):
    project.conftest(
        """
        import asyncio
        from pytest_dspex import program

        @program
        def qa():
            def answer(question):
                return asyncio.run(asyncio.sleep(0, result=question))

            return answer
        """
    )
    project.rows(*names(*range(2)))
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example, prediction):
            assert prediction == example.question
        """
    )

    async def notebook():
        return pytester.runpytest_inprocess()

    assert outcomes(asyncio.run(notebook())) == {"passed": 2}


@pytest.mark.parametrize("value", ["0", "-1", "many", "²"])
def test_a_concurrency_that_is_no_number_is_a_usage_error(project, pytester, value):
    (project.path / "pytest.ini").write_text(f"[pytest]\ndspex_concurrency = {value}\n")
    result = pytester.runpytest_subprocess()
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"ERROR: the ini key dspex_concurrency is '{value}', not a positive whole number*"])


def test_on_workers_the_next_prediction_is_made_ahead(project, pytester):
    project.conftest(MEETING.format(width=2))
    project.rows(*names(*range(4)))
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(prediction):
            assert prediction.answer == "yes"
        """
    )
    result = pytester.runpytest_subprocess("-n", "1", "--dspex-live")
    assert outcomes(result) == {"passed": 4}


def test_an_error_of_dspex_is_one_message_and_no_traceback(project, run):
    project.rows("silent", "red")
    project.test()
    result = run("--dspex-live")
    assert outcomes(result) == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(["AdapterParseError: *Adapter could not read the outputs of *"])
    result.stdout.no_fnmatch_line("*.py:[0-9]*: *")


def test_an_error_of_the_users_code_shows_where_it_was_raised_and_nothing_of_the_library(project, run):
    project.rows("broken", "red")
    project.test()
    result = run("--dspex-live")
    assert outcomes(result) == {"passed": 1, "errors": 1}
    result.stdout.fnmatch_lines(
        ['*raise ValueError("the LM is broken")', "E *ValueError: the LM is broken", "conftest.py:*: ValueError"]
    )
    result.stdout.no_fnmatch_line("*dspex_core/*")
    result.stdout.no_fnmatch_line("*prefetch.py*")


def test_full_trace_shows_the_library_too(project, alone):
    project.rows("broken")
    project.test()
    alone("--dspex-live", "--full-trace").stdout.fnmatch_lines(["*prefetch.py:*"])


def test_a_gate_counts_a_failed_prediction_as_an_error(project, run):
    project.rows("silent", "red")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        @pytest.mark.dspex_gate("right", min=0.9)
        def test_qa(example, prediction, score):
            score("right", True)
        """
    )
    result = run("--dspex-live")
    result.stdout.fnmatch_lines(["right 0.5 * < 0.9, n=2, errors=1 (counted as 0)", "  c-silent: 0  error: *"])


def test_dash_x_stops_and_what_has_not_begun_is_not_asked(project, alone):
    (project.path / "pytest.ini").write_text("[pytest]\ndspex_concurrency = 2\n")
    project.rows("silent", *names(*range(20)))
    project.test()
    result = alone("--dspex-live", "-x")
    assert outcomes(result) == {"errors": 1}
    assert len(project.calls) < 8


def test_a_rerun_asks_again(project, alone):
    project.conftest(
        more="""
        from _pytest.runner import runtestprotocol

        def pytest_runtest_protocol(item, nextitem):
            # as pytest-rerunfailures does it
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            for attempt in range(2):
                reports = runtestprotocol(item, nextitem=nextitem, log=False)
                item._initrequest()
            for report in reports:
                item.ihook.pytest_runtest_logreport(report=report)
            return True
        """
    )
    project.rows("red")
    project.test()
    assert outcomes(alone("--dspex-live")) == {"passed": 1}
    assert project.calls == ["Say red", "Say red"]


def test_rows_that_are_skipped_are_not_predicted(project, alone):
    project.conftest(
        more="""
        def pytest_collection_modifyitems(items):
            for item in items:
                if "blue" in item.name:
                    item.add_marker(pytest.mark.skip)
        """
    )
    project.rows("red", "blue", "green")
    project.test()
    assert outcomes(alone("--dspex-live")) == {"passed": 2, "skipped": 1}
    assert sorted(project.calls) == ["Say green", "Say red"]


# The LM of the test


def test_an_lm_of_function_scope_answers_for_its_own_test(project, run):
    project.rows("red", "blue", "green")
    project.test(
        """
        import pytest

        @pytest.fixture
        def lm(lm, request):
            return type(lm)("test/" + request.node.callspec.id)

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example, prediction, lm):
            assert prediction.answer == example.answer
            assert [entry.model for entry in lm.history] == ["test/" + example.id]
        """
    )
    assert outcomes(run("--dspex-live")) == {"passed": 3}
    assert sorted(project.calls) == ["Say blue", "Say green", "Say red"]


@pytest.mark.parametrize("scope", ["function", "session"])
def test_an_lm_that_is_parametrized_answers_for_its_own_cases(project, run, scope):
    project.rows("red", "blue", "green")
    project.test(
        f"""
        import pytest
        from dspex_core import ScriptedLM

        @pytest.fixture(scope="{scope}", params=["one", "two"])
        def lm(request):
            return ScriptedLM(lambda asked: {{"answer": request.param}})

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example, prediction, request):
            assert prediction.answer == request.node.callspec.params["lm"]
        """
    )
    assert outcomes(run()) == {"passed": 6}


def test_a_program_fixture_may_be_overridden(project, alone):
    project.rows("red", "blue")
    project.test(
        """
        import pytest

        @pytest.fixture
        def qa(qa, request):
            return lambda question: request.node.callspec.id

        @pytest.mark.dspex_data("data.jsonl", inputs=["question"])
        def test_qa(example, prediction):
            assert prediction == example.id
        """
    )
    assert outcomes(alone()) == {"passed": 2}
