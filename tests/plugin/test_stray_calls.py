"""LM calls that no test's context reaches: a replaying session asks nobody, a recording one keeps what they cost."""

import os
import textwrap

import pytest

HELPERS = """
    import asyncio
    import threading
    from concurrent.futures import ThreadPoolExecutor
    from multiprocessing.pool import ThreadPool

    import pytest

    MADE_AT_IMPORT = ThreadPoolExecutor(2)

    def in_thread(ask, words):
        answers = []
        threads = [threading.Thread(target=lambda word=word: answers.append(ask(word))) for word in words]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sorted(answers)

    def in_pool(ask, words):
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(ask, words))

    def in_shared_pool(ask, words):
        return list(MADE_AT_IMPORT.map(ask, words))

    def in_multiprocessing_pool(ask, words):
        with ThreadPool(2) as pool:
            return pool.map(ask, words)

    def in_executor(ask, words):
        async def main():
            loop = asyncio.get_running_loop()
            return await asyncio.gather(*(loop.run_in_executor(None, ask, word) for word in words))

        return asyncio.run(main())

    def in_thread_of_thread(ask, words):
        return in_thread(lambda word: in_thread(ask, [word])[0], words)

    WAYS = [in_thread, in_pool, in_shared_pool, in_multiprocessing_pool, in_executor, in_thread_of_thread]
"""
EACH_WAY = """
    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
    @pytest.mark.parametrize("color", ["blue", "olive"])
    def test_way(lm, way, color):
        words = [color, "yellow"]
        assert way(lambda word: lm(f"Say {word}")[0].split()[-1], words) == words
"""
WAYS = 6


def module(*parts):
    return "\n".join(map(textwrap.dedent, parts))


def outcomes(result):
    return {name: count for name, count in result.parseoutcomes().items() if name != "warnings"}


def by_case(entries):
    return {case: sum(entry["case"] == case for entry in entries) for case in {entry["case"] for entry in entries}}


def test_calls_in_threads_that_are_not_recorded_fail_and_ask_nobody(project, run):
    project.test(module(HELPERS, EACH_WAY))
    result = run("-W", "ignore::pytest.PytestUnhandledThreadExceptionWarning")
    assert outcomes(result) == {"failed": 2 * WAYS}
    assert project.calls == []


def test_calls_in_threads_are_recorded_in_the_cassette_of_their_test_and_replayed(project, run):
    project.test(module(HELPERS, EACH_WAY))
    assert outcomes(run("--dspex-record=new")) == {"passed": 2 * WAYS}
    assert set(by_case(project.entries("test_way")).values()) == {2}
    project.forget_calls()
    assert outcomes(run()) == {"passed": 2 * WAYS}
    assert outcomes(run("-k", "olive"))["passed"] == WAYS
    assert project.calls == []


def test_a_miss_that_only_a_thread_has_seen_fails_the_test(project, run):
    asks = """
        def test_it(lm):
            with ThreadPoolExecutor(1) as pool:
                pool.submit(lm, "Say red")
    """
    project.test(module(HELPERS, asks))
    result = run()
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["test_it calls 'test/echo', and no call is recorded yet*"])


@pytest.mark.parametrize("option", ["--dspex-record=none", "--dspex-record=new"])
def test_a_call_while_a_module_is_imported_is_refused(project, run, option):
    project.test("from conftest import EchoLM\n\nEchoLM('test/echo')('Say red')\n\ndef test_it(): pass")
    result = run(option)
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*'test/echo' was called outside any test, so the call does not belong to a cass*"])
    assert project.calls == []


def test_a_call_while_a_conftest_is_imported_is_refused(project, pytester):
    project.conftest(more="EchoLM('test/echo')('Say red')")
    project.test("def test_it(): pass")
    result = pytester.runpytest_subprocess()
    assert result.ret != 0
    assert "'test/echo' was called outside any test" in result.stdout.str() + result.stderr.str()
    assert project.calls == []
    assert pytester.runpytest_subprocess("--dspex-live").ret == 0
    assert project.calls == ["Say red"]


def test_a_swallowed_call_outside_tests_fails_the_session(project, run):
    project.test(
        """
        from conftest import EchoLM

        try:
            EchoLM("test/echo")("Say red")
        except BaseException:
            pass

        def test_it(): pass
        """
    )
    result = run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["ERROR: 'test/echo' was called outside any test, *"])


def test_a_call_at_exit_is_refused(project, pytester):
    project.test(
        """
        import atexit
        from conftest import EchoLM

        def test_it():
            atexit.register(EchoLM("test/echo"), "Say red")
        """
    )
    result = pytester.runpytest_subprocess()
    assert project.calls == []
    assert "'test/echo' was called outside any test" in result.stderr.str()


OUTLIVES = """
    import threading
    import pytest

    GO, DONE = threading.Event(), threading.Event()

    def later(lm):
        GO.wait(20)
        lm("Say late")
        DONE.set()

    def test_starts(lm):
        threading.Thread(target=later, args=(lm,), daemon=True).start()

    def test_waits(lm):
        GO.set()
        assert DONE.wait(20)
        lm("Say red")
"""


def test_a_thread_that_outlives_its_test_keeps_its_cassette_and_is_reported(project, alone):
    project.test(OUTLIVES)
    result = alone("--dspex-record=new")
    assert outcomes(result) == {"passed": 2}
    assert [len(project.entries(name)) for name in ("test_starts", "test_waits")] == [1, 1]
    result.stdout.fnmatch_lines(["test_it.py::test_starts: a thread of this test made LM calls after the test's end*"])
    project.forget_calls()
    assert outcomes(alone()) == {"passed": 2}
    assert project.calls == []


def test_the_thread_of_a_session_fixture_asks_for_whichever_test_runs(project, run):
    project.test(
        """
        import queue
        import threading
        import pytest

        @pytest.fixture(scope="session")
        def service(lm):
            questions, answers = queue.Queue(), queue.Queue()

            def serve():
                while (question := questions.get()) is not None:
                    answers.put(lm(question)[0])

            thread = threading.Thread(target=serve)
            thread.start()
            yield lambda question: (questions.put(question), answers.get(timeout=20))[1]
            questions.put(None)
            thread.join()

        def test_red(service):
            assert "red" in service("Say red")

        def test_blue(service):
            assert "blue" in service("Say blue")
        """
    )
    assert outcomes(run("--dspex-record=new")) == {"passed": 2}
    assert [len(project.entries(name)) for name in ("test_red", "test_blue")] == [1, 1]
    assert outcomes(run("-k", "blue"))["passed"] == 1
    assert project.calls.count("Say blue") == 1


CHILDREN = """
    import multiprocessing
    from conftest import EchoLM

    def ask(word):
        return EchoLM("test/echo")(f"Say {word}")[0].split()[-1]

    def in_child(method):
        with multiprocessing.get_context(method).Pool(1) as pool:
            return pool.apply_async(ask, ("red",)).get(20)
"""


def test_a_spawned_process_asks_nobody(project, pytester):
    asks = """
        import pytest
        from dspex_core import LiveCallRefusedError

        def test_it():
            with pytest.raises(LiveCallRefusedError, match="DSPEX_REPLAY"):
                in_child("spawn")
    """
    project.test(module(CHILDREN, asks))
    for option in ("--dspex-record=none", "--dspex-record=new"):
        result = pytester.runpytest_subprocess(option)
        assert outcomes(result) == {"failed": 1}  # whoever expects the refusal has tested nothing of the model
        result.stdout.fnmatch_lines(["in the process * a call to 'test/echo' was refused*"])
    assert project.calls == []
    assert outcomes(pytester.runpytest_subprocess("--dspex-live")) == {"failed": 1}
    assert project.calls == ["Say red"]


def test_an_lm_that_is_asked_directly_asks_nobody(project, pytester):
    project.test(
        """
        import pytest
        from dspex_core import LM, LiveCallRefusedError, LMRequest, Message, context

        @pytest.mark.parametrize("asks", [LM.complete, LM.request])
        def test_it(asks):
            lm = LM("openai/x", api_base="http://127.0.0.1:1/v1", api_key="k", num_retries=0, cache=False)
            request = LMRequest((Message("user", "?"),))
            with context(recorder=None), pytest.raises(LiveCallRefusedError):
                asks(lm, request)
        """
    )
    result = pytester.runpytest_subprocess()
    assert outcomes(result) == {"failed": 2}
    result.stdout.fnmatch_lines(["a call to 'openai/x' was refused*"] * 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_processes_record_and_replay_also_when_they_outlive_the_test(project, pytester):
    asks = """
        POOLS = []

        def test_it():
            assert in_child("fork") == "red"

        def test_lives_on():
            POOLS.append(multiprocessing.get_context("fork").Pool(1))
            assert POOLS[0].apply_async(ask, ("blue",)).get(20) == "blue"
    """
    project.test(module(CHILDREN, asks))
    unrecorded = pytester.runpytest_subprocess()
    assert outcomes(unrecorded) == {"failed": 2}
    unrecorded.stdout.no_fnmatch_line("E *TimeoutError*")  # the pool's process has sent the miss, and lives
    assert project.calls == []
    assert outcomes(pytester.runpytest_subprocess("--dspex-record=new")) == {"passed": 2}
    project.forget_calls()
    assert outcomes(pytester.runpytest_subprocess()) == {"passed": 2}
    assert project.calls == []
