"""Rows with `turns`: `prediction` is a conversation, whose expectations are checks of the case."""

import pytest


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


def test_a_row_with_turns_is_a_conversation_that_is_recorded_and_checked(project, run):
    project.conftest(more="@program\ndef chat():\n    return Predict('question, history: History -> answer')")
    project.test(
        """
        import pytest

        ROWS = [
            {"id": "good", "turns": ["Say red", {"user": "Say blue", "expect": "BLUE"}]},
            {"id": "bad", "turns": ["Say red", {"user": "Say blue", "expect": "green"}]},
        ]

        @pytest.mark.dspex_data(ROWS, inputs=["turns"], program="chat")
        def test_chat(prediction):
            assert prediction.answer == "blue"
            assert [turn.reply for turn in prediction.turns] == ["red", "blue"]
        """
    )
    result = run("--dspex-record=new")
    assert outcomes(result) == {"passed": 1, "failed": 1}
    result.stdout.fnmatch_lines(["*turn 2 ('Say blue'): expected 'green' in the reply, which is 'blue'"])
    assert sorted(entry["case"] for entry in project.entries("test_chat")) == ["bad", "bad", "good", "good"]
    project.forget_calls()
    assert outcomes(run()) == {"passed": 1, "failed": 1}
    assert project.calls == []


def test_turns_that_are_no_script_are_one_message(project, alone):
    project.conftest(more="@program\ndef chat():\n    return Predict('question, history: History -> answer')")
    project.test(
        """
        import pytest

        @pytest.mark.dspex_data([{"turns": "hello"}], inputs=["turns"], program="chat")
        def test_chat(prediction):
            pass
        """
    )
    result = alone("--dspex-live")
    assert outcomes(result) == {"errors": 1}
    result.stdout.fnmatch_lines(["*the turns of a conversation are a list of texts, not 'hello'*"])
    assert project.calls == []
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_a_check_that_fails_in_a_fixture_fails_its_test(project, alone):
    project.test(
        """
        import pytest

        @pytest.fixture
        def ready(check):
            check(False, "not ready")

        def test_it(ready):
            pass
        """
    )
    result = alone()
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["*- not ready"])
