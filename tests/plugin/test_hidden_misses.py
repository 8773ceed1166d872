"""A request that is not recorded fails its test, whatever the program or the test does with the failure."""

import pytest

WAYS = """
    import asyncio
    import contextlib
    import unittest

    import pytest

    def test_except(qa):
        try:
            qa(question="Say no")
        except BaseException:
            pass

    def test_finally(qa):
        def answer():
            try:
                qa(question="Say no")
            finally:
                return "no"

        assert answer() == "no"

    def test_gather(qa):
        async def main():
            return await asyncio.gather(qa.acall(question="Say no"), return_exceptions=True)

        asyncio.run(main())

    def test_raises(qa):
        with pytest.raises(BaseException):
            qa(question="Say no")

    def test_skip(qa):
        try:
            qa(question="Say no")
        except BaseException:
            pytest.skip("the model cannot be reached")

    def test_xfail(qa):
        try:
            qa(question="Say no")
        except BaseException:
            pytest.xfail("known")

    @pytest.mark.xfail
    def test_mark(qa):
        qa(question="Say no")

    @pytest.mark.xfail(strict=True)
    def test_assertion_behind(qa):
        with contextlib.suppress(BaseException):
            qa(question="Say no")
        assert False

    @pytest.mark.xfail
    @pytest.mark.dspex_data([{"id": "a", "question": "Say no"}], inputs=["question"])
    def test_prediction(prediction):
        assert False

    class TestCase(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def _program(self, qa):
            self.qa = qa

        @unittest.expectedFailure
        def test_expected(self):
            self.assertEqual(self.qa(question="Say no").answer, "yes")

    @pytest.fixture
    def before(qa):
        with contextlib.suppress(BaseException):
            qa(question="Say no")

    def test_before(before):
        pass

    @pytest.fixture
    def after(qa):
        yield
        with contextlib.suppress(BaseException):
            qa(question="Say no")

    def test_after(after):
        pass

    @pytest.fixture(scope="module")
    def shared(qa):
        with contextlib.suppress(BaseException):
            qa(question="Say no")

    def test_shared(shared):
        pass

    @pytest.mark.xfail
    def test_shared_and_mark(shared):
        pass
"""


def test_no_way_to_swallow_or_expect_a_miss_is_green(project, alone):
    project.test(WAYS)

    result = alone("-rA", "--tb=no")

    # `test_after` passes, and then its teardown ends in an error
    result.assert_outcomes(failed=9, errors=5, passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert project.calls == []
    lines = [line for line in result.outlines if line.startswith(("FAILED", "ERROR"))]
    assert len(lines) == 14


def test_recorded_calls_leave_expected_failures_and_skips_as_they_are(project, alone):
    project.test("""
        import pytest

        @pytest.mark.xfail
        def test_mark(qa):
            assert qa(question="Say no").answer == "yes"

        def test_skip(qa):
            qa(question="Say no")
            pytest.skip("later")
    """)
    alone("--dspex-record=new").assert_outcomes(xfailed=1, skipped=1)

    alone().assert_outcomes(xfailed=1, skipped=1)


def test_a_failure_behind_a_swallowed_miss_shows_both_and_leaves_the_gate_not_evaluated(project, alone):
    project.test("""
        import contextlib

        import pytest

        @pytest.mark.dspex_gate("right", min=0.5)
        def test_it(qa, score):
            answer = "unknown"
            with contextlib.suppress(BaseException):
                answer = qa(question="Say no").answer
            score("right", answer == "no")
            assert answer == "no"
    """)

    result = alone()

    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*AssertionError*", "*request that is not recorded*", "*test_it.jsonl is missing*"])
    result.stdout.fnmatch_lines(["*gate-right* not evaluated: 1 of 1 cases made requests that are not recorded"])


def test_an_attempt_that_swallows_a_miss_is_no_attempt(project, alone):
    project.test("""
        import contextlib

        import pytest

        @pytest.mark.dspex_repeat(2, pass_at=1)
        def test_it(qa):
            answer = "no"
            with contextlib.suppress(BaseException):
                answer = qa(question="Say no").answer
            assert answer == "yes"
    """)

    alone().assert_outcomes(failed=2)
