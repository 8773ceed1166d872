"""Judges as metrics of a dataset: their LM, their calls in cassettes, their failures."""

import pytest

JUDGE_LM = """
    class JudgeLM(BaseLM):
        def complete(self, request):
            with CALLS.open("a") as calls:
                calls.write(f"Judged at {request.config.get('temperature')}\\n")
            score = "9" if "black" in request.messages[-1].content else "4"
            answer = f"[[ ## reasoning ## ]]\\nfair\\n\\n[[ ## score ## ]]\\n{score}"
            return LMResponse((LMOutput(answer, "stop"),), model=self.model)

    @pytest.fixture(scope="session")
    def judge_lm():
        return JudgeLM("test/judge", api_key="sk-secret-key")
"""
TEST = """
    import pytest
    from dspex_core import Judge

    @pytest.mark.dspex_data(
        "data.jsonl", inputs=["question"], metrics=[Judge("polite"), Judge("brief", votes=2, name="brief")]
    )
    @pytest.mark.dspex_gate("judge", min=0.7)
    @pytest.mark.dspex_gate("brief", min=0.7)
    def test_qa(prediction):
        pass
"""


@pytest.fixture
def judged(project):
    project.conftest(more=JUDGE_LM)
    project.test(TEST)
    return project


def test_judges_ask_the_lm_of_judges_and_their_calls_and_votes_are_replayed(judged, alone):
    judged.rows("red", "blue")
    recorded = alone("--dspex-record=new")
    recorded.assert_outcomes(passed=4)  # two rows, two gates
    assert sorted(judged.calls) == [*["Judged at 1.0"] * 4, *["Judged at None"] * 2, "Say blue", "Say red"]
    judged.forget_calls()
    alone().assert_outcomes(passed=4)
    assert judged.calls == []


def test_a_judge_that_answers_beyond_its_scale_fails_the_case_under_its_name(judged, alone):
    judged.rows("black")
    result = alone("--dspex-live")
    result.stdout.fnmatch_lines(["*the judge 'judge' failed*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
