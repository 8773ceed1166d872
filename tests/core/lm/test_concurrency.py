"""Many calls at once: each sees the LM of its own context, and equal ones are made once."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai_server import OpenAIServer, Reply

from dspex_core import LM, Predict, context, settings

NUMBER = 64
EQUAL_CALLS = 8


def answered(text, delay=0.0):
    return Reply(f"[[ ## answer ## ]]\n{text}\n\n[[ ## completed ## ]]", delay=delay)


class TestEachContextHasItsOwnLM:
    @pytest.fixture
    def server(self):
        """Answer with the name of the model that was asked."""
        with OpenAIServer(script=lambda request: answered(request["model"], delay=0.005)) as server:
            yield server

    @pytest.fixture
    def predict(self):
        return Predict("question -> answer")  # one for all: it keeps nothing of a call

    @pytest.fixture
    def in_thread(self, server, predict):
        """Ask twice in a context of the thread's own that is open while the others' are."""
        all_are_inside = threading.Barrier(NUMBER)

        def ask(name):
            with context(lm=lm(server, name)):
                all_are_inside.wait(timeout=30)
                return [predict(question="Who?").answer for _ in range(2)] + [settings.lm.model]

        return ask

    @pytest.fixture
    def in_task(self, server, predict):
        """Ask twice in a context of the task's own; while it waits for the reply, the others are inside theirs."""

        async def ask(name):
            with context(lm=lm(server, name)):
                await asyncio.sleep(0)
                return [(await predict.acall(question="Who?")).answer for _ in range(2)] + [settings.lm.model]

        return ask

    def test_in_threads(self, in_thread):
        with ThreadPoolExecutor(NUMBER) as pool:
            assert list(pool.map(in_thread, names("thread"))) == expected("thread")

    def test_in_tasks(self, in_task):
        async def ask_all():
            return await asyncio.gather(*map(in_task, names("task")))

        assert asyncio.run(ask_all()) == expected("task")

    def test_in_threads_and_tasks_at_once(self, in_thread, in_task):
        async def ask_all():
            return await asyncio.gather(*map(in_task, names("task")))

        with ThreadPoolExecutor(NUMBER) as pool:
            from_threads = pool.map(in_thread, names("thread"))
            assert asyncio.run(ask_all()) == expected("task")
            assert list(from_threads) == expected("thread")


def lm(server, name):
    return LM(f"openai/{name}", api_base=server.base_url, api_key="k", cache=False)


def names(kind):
    return [f"{kind}-{number}" for number in range(NUMBER)]


def expected(kind):
    return [[name, name, f"openai/{name}"] for name in names(kind)]


class TestEqualCallsAtOnceAreOneRequest:
    """With the cache that all processes of the user share, as it is without any setting."""

    @pytest.fixture
    def server(self):
        with OpenAIServer(script=lambda _: answered("Paris", delay=0.2)) as server:
            yield server

    @pytest.fixture
    def predict(self, server):
        predict = Predict("question -> answer")
        predict.set_lm(LM("openai/m", api_base=server.base_url, api_key="k"))
        return predict

    def test_in_threads(self, server, predict):
        at_once = threading.Barrier(EQUAL_CALLS)

        def ask(_):
            at_once.wait(timeout=30)
            return predict(question="What is the capital of France?").answer

        with ThreadPoolExecutor(EQUAL_CALLS) as pool:
            assert list(pool.map(ask, range(EQUAL_CALLS))) == ["Paris"] * EQUAL_CALLS
        assert len(server.requests) == 1
        assert [entry.response.cached for entry in predict.history].count(False) == 1

    def test_in_tasks(self, server, predict):
        async def ask_all():
            calls = [predict.acall(question="What is the capital of France?") for _ in range(EQUAL_CALLS)]
            return [prediction.answer for prediction in await asyncio.gather(*calls)]

        assert asyncio.run(ask_all()) == ["Paris"] * EQUAL_CALLS
        assert len(server.requests) == 1
        assert [entry.response.cached for entry in predict.history].count(False) == 1

    def test_in_threads_and_tasks_at_once(self, server, predict):
        async def ask_all():
            question = "What is the capital of France?"
            in_threads = [asyncio.to_thread(predict, question=question) for _ in range(EQUAL_CALLS // 2)]
            in_tasks = [predict.acall(question=question) for _ in range(EQUAL_CALLS // 2)]
            return [prediction.answer for prediction in await asyncio.gather(*in_threads, *in_tasks)]

        assert asyncio.run(ask_all()) == ["Paris"] * EQUAL_CALLS
        assert len(server.requests) == 1

    def test_but_not_without_the_cache_or_with_rollouts_of_their_own(self, server, predict):
        calls = [{"cache": False}, {"cache": False}, {"rollout_id": 1}, {"rollout_id": 2}]
        with ThreadPoolExecutor(len(calls)) as pool:
            list(pool.map(lambda config: predict(question="What is the capital of France?", config=config), calls))
        assert len(server.requests) == len(calls)
