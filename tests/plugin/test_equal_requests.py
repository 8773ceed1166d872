"""Equal requests: a model that samples is asked anew for each, and each gets its own reply again on replay."""

import json
import re

import pytest
from openai_server import OpenAIServer

# Numbers its answers. Calls of several lines of work wait for those before them in the order that ORDER says.
SAMPLING = """
    import asyncio
    import os
    import threading
    from concurrent.futures import ThreadPoolExecutor
    from pathlib import Path

    import pytest
    from dspex_core import BaseLM, LMOutput, LMRefusalError, LMResponse, LMServerError, Parallel, Usage

    CALLS = Path(__file__).with_name("calls.txt")
    ANSWERS = Path(__file__).with_name("answers.txt")

    class SamplingLM(BaseLM):
        def complete(self, request):
            with CALLS.open("a") as calls:
                calls.write(f"{request.messages[-1].text}\\n")
            number = len(CALLS.read_text().splitlines())
            if request.messages[-1].text == "refuse":
                raise LMRefusalError("I will not do that", model=self.model, provider_code="content_filter")
            if request.messages[-1].text == "fail once" and number == 1:
                raise LMServerError("down", model=self.model)
            return LMResponse((LMOutput(f"answer {number}", "stop"),), model=self.model, usage=Usage(3, 2), cost=0.25)

    @pytest.fixture(scope="session")
    def lm():
        return SamplingLM("test/sampling")

    class Turns:
        def __init__(self, number):
            self.events = [threading.Event() for _ in range(number + 1)]
            self.number = number

        def take(self, index, ask):
            turn = index if os.environ["ORDER"] == "up" else self.number - 1 - index
            if turn:
                assert self.events[turn - 1].wait(20)
            answer = ask()
            self.events[turn].set()
            return answer

    def said(answers):
        with ANSWERS.open("a") as file:
            file.write(f"{answers}\\n")
"""


class Session:
    """Runs the project; `answers` are what its tests got."""

    def __init__(self, project, pytester):
        self.project = project
        self._pytester = pytester
        project.conftest(SAMPLING)

    def run(self, *args, order="up", how=None):
        self._pytester._monkeypatch.setenv("ORDER", order)
        (self.project.path / "answers.txt").unlink(missing_ok=True)
        return (how or self._pytester.runpytest_inprocess)(*args)

    @property
    def answers(self):
        return sorted((self.project.path / "answers.txt").read_text().splitlines())

    def labels(self, function="test_it"):
        return [entry["key"].partition("#")[2] for entry in self.project.entries(function)]


@pytest.fixture
def session(project, pytester):
    return Session(project, pytester)


LOOP = """
    import pytest
    from conftest import said

    @pytest.mark.parametrize("attempt", range(2))
    def test_it(lm, attempt):
        said([lm("hello")[0] for _ in range(2)])
"""


def test_each_has_a_reply_of_its_own_which_a_replay_returns_in_the_same_order(session, run):
    session.project.test(LOOP)
    session.run("--dspex-record=new", how=run).assert_outcomes(passed=2)
    assert len(session.project.calls) == 4
    recorded = session.answers
    assert sorted(session.labels()) == ["1", "1", "2", "2"]
    session.project.forget_calls()
    session.run(how=run).assert_outcomes(passed=2)
    assert session.answers == recorded
    assert session.project.calls == []


def test_one_more_than_recorded_is_a_miss_that_says_so(session, alone):
    session.project.test(LOOP)
    session.run("--dspex-record=new")
    session.project.test(LOOP.replace("for _ in range(2)", "for _ in range(3)"))
    result = session.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["Only 2 replies are recorded for this request, and this is the equal request *3 of*"])
    session.run("--dspex-record=new").assert_outcomes(passed=2)
    assert len(session.project.calls) == 6


def test_at_temperature_0_or_with_equal_rollouts_they_have_one(session, run):
    session.project.test(
        """
        def test_it(lm):
            assert lm("hello", temperature=0) == lm("hello", temperature=0)
            assert lm("hello", rollout_id=1) == lm("hello", rollout_id=1) != lm("hello", rollout_id=2)
        """
    )
    session.run("--dspex-record=new", how=run).assert_outcomes(passed=1)
    assert session.labels() == ["", "", ""]
    session.run(how=run).assert_outcomes(passed=1)
    assert len(session.project.calls) == 3


def test_a_recording_of_an_earlier_version_answers_all_of_them(session, alone):
    session.project.test(LOOP)
    session.run("--dspex-record=new")
    cassette = session.project.cassette("test_it")
    fields = ("key", "model", "case", "request", "response")
    entries = [{name: entry[name] for name in fields} for entry in session.project.entries("test_it")]
    old = [{**entry, "key": entry["key"].removesuffix("#1")} for entry in entries if entry["key"].endswith("#1")]
    cassette.write_text("".join(json.dumps(entry) + "\n" for entry in old))
    session.project.forget_calls()
    session.run().assert_outcomes(passed=2)
    assert all(answers[0] == answers[1] for answers in map(json.loads, (a.replace("'", '"') for a in session.answers)))


AT_ONCE = """
    import asyncio
    import threading
    from concurrent.futures import ThreadPoolExecutor

    import pytest
    from conftest import Turns, said
    from dspex_core import Example, Module, Parallel

    N = 4

    def in_pool(ask):
        with ThreadPoolExecutor(N) as pool:
            return list(pool.map(ask, range(N)))

    def in_threads(ask):
        answers = [None] * N
        threads = [
            threading.Thread(target=lambda index=index: answers.__setitem__(index, ask(index))) for index in range(N)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def in_parallel(ask):
        class Asks(Module):
            def forward(self, index):
                return ask(index)

        asks = Asks()
        return Parallel(num_threads=N)([(asks, Example(index=index).with_inputs("index")) for index in range(N)])

    def to_thread(ask):
        async def main():
            return await asyncio.gather(*(asyncio.to_thread(ask, index) for index in range(N)))

        return asyncio.run(main())

    def after_others(ask):
        in_pool(lambda index: None)
        return in_pool(ask)

    WAYS = [in_pool, in_threads, in_parallel, to_thread, after_others]

    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
    def test_it(lm, way):
        turns = Turns(N)
        said([way.__name__, way(lambda index: turns.take(index, lambda: lm("hello")[0]))])

    def test_tasks(lm):
        async def ask():
            return [(await lm.acall("hello"))[0], (await lm.acall("hello"))[0]]

        async def main():
            return await asyncio.gather(*(ask() for _ in range(N)))

        said(["tasks", asyncio.run(main())])
"""


def test_those_made_at_once_get_their_replies_in_the_order_of_the_program(session, run):
    session.project.test(AT_ONCE)
    session.run("--dspex-record=new", order="down", how=run).assert_outcomes(passed=6)
    recorded = session.answers
    session.project.forget_calls()
    session.run(order="up", how=run).assert_outcomes(passed=6)
    assert session.answers == recorded
    assert session.project.calls == []


def test_if_the_lines_of_work_have_moved_all_replies_are_still_used(session, alone):
    session.project.test(AT_ONCE)
    session.run("--dspex-record=new", "-k", "in_pool")
    moved = AT_ONCE.replace("pool.map(ask, range(N))", "pool.map(lambda index: index < 0 or ask(index), range(-2, N))")
    session.project.test(moved.replace("ThreadPoolExecutor(N)", "ThreadPoolExecutor(N + 2)"))
    session.project.forget_calls()
    session.run("-k", "in_pool").assert_outcomes(passed=1, deselected=5)
    assert session.project.calls == []


RERUNS = """
    def pytest_runtest_protocol(item, nextitem):
        from _pytest.runner import runtestprotocol

        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for attempt in range(4):
            item._initrequest()
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
            if attempt == 3 or not any(report.failed for report in reports):
                break
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True
"""
FLAKY = """
    from conftest import said

    def test_it(lm, request):
        answer = lm("hello"{more})[0]
        said(answer)
        assert answer == "answer 3"
"""


@pytest.mark.parametrize("more", ["", ", temperature=0", ", rollout_id=1"])
def test_a_rerun_asks_anew_in_a_live_session(session, run, more):
    session.project.conftest(SAMPLING, more=RERUNS)
    session.project.test(FLAKY.format(more=more))
    session.run("--dspex-live", how=run).assert_outcomes(passed=1)
    assert session.answers == ["answer 1", "answer 2", "answer 3"]


def test_a_recorded_rerun_is_replayed_as_it_was(session, run):
    session.project.conftest(SAMPLING, more=RERUNS)
    session.project.test(FLAKY.format(more=""))
    session.run("--dspex-record=new", how=run).assert_outcomes(passed=1)
    session.project.forget_calls()
    session.run(how=run).assert_outcomes(passed=1)
    assert session.answers == ["answer 1", "answer 2", "answer 3"]
    session.project.test(FLAKY.format(more="").replace("answer 3", "answer 9"))
    result = session.run(how=run)
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*is not in its cassette*")
    assert session.answers == ["answer 1", "answer 1", "answer 2", "answer 3"]


TWICE = """
    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(items):
        items += list(items)
"""


def test_another_run_of_an_item_goes_on_after_the_replies_of_the_first(session, alone):
    session.project.conftest(SAMPLING, more=TWICE)
    session.project.test("from conftest import said\ndef test_it(lm): said(lm('hello')[0])\ndef test_other(): pass")
    for option in ("--dspex-record=new", "--dspex-record=none"):
        session.run(option, how=alone).assert_outcomes(passed=4)
        assert session.answers == ["answer 1", "answer 2"]
        assert session.labels() == ["1", "2"]


def test_the_plugin_for_reruns_asks_anew_too(session, pytester):
    pytest.importorskip("pytest_rerunfailures")
    session.project.test(FLAKY.format(more=""))
    session.run("--dspex-live", "--reruns", "5", how=pytester.runpytest_subprocess)
    assert session.answers == ["answer 1", "answer 2", "answer 3"]


CLIENT = """
    import os
    import pytest
    from dspex_core import LM

    @pytest.fixture(scope="session")
    def lm():
        return LM("openai/gpt-4o-mini", api_base=os.environ["LM_URL"], api_key="k", engine="direct")

    @pytest.fixture(scope="session")
    def early(lm):
        return lm("early", temperature=0)
"""
LIVE = """
    import pytest

    @pytest.mark.parametrize("attempt", range(2))
    def test_it(lm, early, attempt):
        for _ in range(2):
            lm("unset")
            lm("warm", temperature=0.7)
            lm("cold", temperature=0)
            lm("rollout", temperature=1, rollout_id=1)
            lm("rollout", temperature=1, rollout_id=2)
"""


def test_what_a_session_with_a_model_takes_from_the_cache(project, pytester, monkeypatch, tmp_path):
    monkeypatch.setenv("DSPEX_CACHE_DIR", str(tmp_path / "cache-of-the-machine"))
    project.conftest(CLIENT)
    project.test(LIVE)
    with OpenAIServer() as server:
        monkeypatch.setenv("LM_URL", server.base_url)
        for options in (["--dspex-live"], ["--dspex-live"], ["--dspex-record=all"]):
            server.requests.clear()
            result = pytester.runpytest_inprocess(*options)
            result.assert_outcomes(passed=2)
            asked = [request.body["messages"][-1]["content"] for request in server.requests]
            numbers = {prompt: asked.count(prompt) for prompt in sorted(set(asked))}
            assert numbers == {"cold": 1, "early": 1, "rollout": 4, "unset": 4, "warm": 4}
            summary = next(line for line in result.outlines if line.startswith("LM calls: "))
            assert re.search(r"\b14 asked\b.*; 140 tokens", summary)


def test_the_summary_counts_what_was_asked_and_what_it_cost(session, run):
    session.project.test(LOOP)
    result = session.run("--dspex-live", how=run)
    result.stdout.fnmatch_lines(["LM calls: 4 asked; 20 tokens, $1.00"])
    result = session.run("--dspex-record=new", how=run)
    result.stdout.fnmatch_lines(["LM calls: 4 recorded, 4 asked; 20 tokens, $1.00"])
    result = session.run(how=run)
    result.stdout.fnmatch_lines(["LM calls: 4 replayed"])


REFUSALS = """
    import pytest
    from dspex_core import LMRefusalError, LMServerError

    def test_it(lm):
        for temperature in (0, 1, 1):
            with pytest.raises(LMRefusalError, match="I will not do that") as caught:
                lm("refuse", temperature=temperature)
            assert (caught.value.model, caught.value.provider_code) == ("test/sampling", "content_filter")

    def test_failure(lm):
        try:
            lm("fail once")
        except LMServerError:
            assert lm("fail once")
"""


def test_refusals_are_recorded_and_raised_again_and_other_failures_are_not(session, run):
    session.project.test(REFUSALS)
    session.run("--dspex-record=new", how=run).assert_outcomes(passed=2)
    assert len(session.project.entries("test_it")) == 3
    assert session.labels("test_failure") == ["1"]
    session.project.forget_calls()
    result = session.run(how=run)
    result.assert_outcomes(passed=2)
    assert session.project.calls == []
