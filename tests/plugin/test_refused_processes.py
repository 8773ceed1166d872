"""A call that is refused where no recorder stands before it fails its test, whoever swallows the refusal."""

import os

import pytest

CHILD = """
    import sys
    from dspex_core import BaseLM

    def ask():
        try:
            BaseLM("openai/x")("?")
        except BaseException:
            return "a constant"

    if __name__ == "__main__":
        ask()
"""
WAYS = """
    import multiprocessing
    import os
    import subprocess
    import sys
    from concurrent.futures import ProcessPoolExecutor
    from pathlib import Path

    import pytest

    CHILD = [sys.executable, str(Path(__file__).with_name("child.py"))]

    def test_script():
        subprocess.run(CHILD, check=True)

    def test_spawn():
        import child

        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            assert pool.submit(child.ask).result() == "a constant"

    @pytest.mark.xfail
    def test_mark(tmp_path):
        subprocess.run(CHILD, check=True, cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)})
        assert 0

    @pytest.fixture(scope="module")
    def service():
        subprocess.run(CHILD, check=True)

    def test_shared(service):
        pass

    def test_nothing():
        pass
"""


def test_a_process_that_swallows_its_refusal_fails_the_test_that_runs(pytester):
    pytester.makepyfile(child=CHILD, test_it=WAYS)

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(failed=3, errors=1, passed=1)
    result.stdout.fnmatch_lines(["*in the process * (child.py): a call to 'openai/x' was refused*"] * 2)


def test_processes_of_workers_fail_their_own_tests(pytester, on_two_workers):
    pytester.makepyfile(child=CHILD, test_it=WAYS)

    on_two_workers("-k", "script or nothing", "--dspex-record=new").assert_outcomes(failed=1, passed=1)


def test_a_gate_on_a_constant_that_stands_for_a_refused_call_is_not_evaluated(pytester):
    pytester.makepyfile(
        child=CHILD,
        test_it="""
        import subprocess
        import sys

        import pytest

        @pytest.mark.dspex_gate("right", min=0.5)
        def test_it(score):
            subprocess.run([sys.executable, "child.py"], check=True)
            score("right", 1)
        """,
    )

    result = pytester.runpytest_inprocess()

    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*gate-right* not evaluated: 1 of 1 cases made requests that are not recorded"])


def test_a_process_that_asks_after_the_last_test_fails_the_session(pytester):
    pytester.makepyfile(
        child=CHILD,
        conftest="""
        import subprocess
        import sys

        def pytest_sessionfinish():
            subprocess.run([sys.executable, "child.py"], check=True)
        """,
        test_it="def test_it(): pass",
    )

    result = pytester.runpytest_inprocess()

    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["ERROR: no test was running: in the process * a call to 'openai/x' was refused*"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_that_swallows_a_miss_fails_the_test(project, pytester):
    project.test("""
        import contextlib
        import multiprocessing

        def ask(qa):
            with contextlib.suppress(BaseException):
                qa(question="Say red")

        def test_it(qa):
            child = multiprocessing.get_context("fork").Process(target=ask, args=(qa,))
            child.start()
            child.join()
            assert child.exitcode == 0

        def test_next():
            pass
    """)

    result = pytester.runpytest_subprocess("-W", "ignore::DeprecationWarning")

    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*test_it calls 'test/echo', and no call is recorded yet*"])
    assert project.calls == []


def test_a_swallowed_refusal_of_a_call_that_shuts_off_its_cassette_fails_the_test(project, alone):
    project.test("""
        import contextlib

        from dspex_core import context

        def test_it(qa):
            with contextlib.suppress(BaseException), context(recorder=None):
                qa(question="Say red")
    """)

    result = alone()

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["a call to 'test/echo' was refused*"])
    assert project.calls == []
