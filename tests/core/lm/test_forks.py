"""A forked child shares LMs, caches, limits and budgets with nobody: its answers are its own, and nothing hangs."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sqlite3
import threading
import time
import warnings

import pytest
from openai_server import OpenAIServer, Reply

from dspex_core import LM, Budget, context
from dspex_core.flow import forks
from dspex_core.lm.cache import ResponseCache
from dspex_core.lm.limits.rate_limit import RateLimiter
from dspex_core.messages import LMOutput, LMResponse

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="only POSIX systems fork")


def echo(body):
    return Reply(body["messages"][-1]["content"], delay=0.005)


def in_child(work, seconds=20):
    """Return what `work` returns in a forked child, as a text."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that other threads run: which is the point here
        child = os.fork()
    if child == 0:
        try:
            os.write(writing, str(work()).encode())
        except BaseException as error:  # noqa: BLE001  the parent gets it
            os.write(writing, repr(error).encode())
        os._exit(0)
    os.close(writing)
    end = threading.Timer(seconds, os.kill, (child, signal.SIGKILL))
    end.start()
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read().decode()
    end.cancel()
    os.waitpid(child, 0)
    return said or "it hung"


def asked_in_turn(lm, name, count=20):
    questions = [f"{name} asks {number}" for number in range(count)]
    return [question for question in questions if lm(question) != [question]]


def asked_at_once(lm, name, count=20):
    questions = [f"{name} asks {number}" for number in range(count)]

    async def ask():
        return await asyncio.gather(*map(lm.acall, questions))

    return [question for question, said in zip(questions, asyncio.run(ask()), strict=True) if said != [question]]


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("how", [asked_in_turn, asked_at_once])
@pytest.mark.parametrize("engine", ["direct", "litellm"])
def test_each_process_gets_the_answers_to_its_own_questions(how, engine):
    with OpenAIServer(script=echo) as server:
        lm = LM("openai/m", api_base=server.base_url, api_key="k", cache=False, num_retries=0, engine=engine)
        assert lm("before") == ["before"]
        assert how(lm, "parent") == []
        globals()["shared"] = lm
        with multiprocessing.get_context("fork").Pool(3) as pool:
            jobs = pool.map_async(_work_on_shared, [(how, f"child {number}") for number in range(3)])
            assert how(lm, "parent meanwhile") == []
            assert jobs.get(60) == [[], [], []]


def _work_on_shared(job):
    how, name = job
    return how(globals()["shared"], name)


def test_a_loop_of_its_own_goes_on_in_the_child():
    with OpenAIServer(script=echo) as server:
        lm = LM("openai/m", api_base=server.base_url, api_key="k", cache=False, num_retries=0)
        with asyncio.Runner() as runner:
            assert runner.run(lm.acall("parent")) == ["parent"]
            assert in_child(lambda: asyncio.run(lm.acall("child"))) == "['child']"
            assert runner.run(lm.acall("again")) == ["again"]


def test_a_child_waits_for_no_call_that_only_its_parent_makes():
    def answer(body):
        asked.set()
        time.sleep(0.5)
        return echo(body)

    asked = threading.Event()
    with OpenAIServer(script=answer) as server, context(cache=ResponseCache()):
        lm = LM("openai/m", api_base=server.base_url, api_key="k", num_retries=0)
        lm.connect()
        cache = ResponseCache()

        def ask():
            with context(cache=cache):
                lm("same")

        thread = threading.Thread(target=ask)
        thread.start()
        asked.wait(5)

        def ask_the_same():
            with context(cache=cache):
                return lm("same")

        assert in_child(ask_the_same) == "['same']"
        thread.join()


def test_the_database_of_the_cache_is_opened_anew_on_both_sides(tmp_path):
    cache, response = ResponseCache(tmp_path / "c.sqlite"), LMResponse((LMOutput("kept"),))
    cache.put("parent", response)

    def in_the_child():
        cache.put("child", response)
        return ResponseCache(tmp_path / "c.sqlite").get("parent").text

    assert in_child(in_the_child) == "kept"
    cache.put("later", response)
    with sqlite3.connect(tmp_path / "c.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert {key for (key,) in database.execute("SELECT key FROM responses")} == {"parent", "child", "later"}
    database.close()


@pytest.mark.parametrize(
    ("part", "use"),
    [
        (ResponseCache(), lambda part: part.get("key")),
        (RateLimiter(60_000), lambda part: part.turn().seconds),
        (Budget(calls=3), lambda part: part.open_call()),
    ],
    ids=["cache", "rate limit", "budget"],
)
def test_a_lock_that_another_thread_held_does_not_stop_the_child(part, use):
    held, done = threading.Event(), threading.Event()

    def hold():
        with part._lock:
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    try:
        assert in_child(lambda: use(part)) in ("None", "0.0")
    finally:
        done.set()
        thread.join()


def test_a_fork_waits_for_imports_in_other_threads():
    """The child would find the lock of the module held for ever."""
    has_begun, loaded = threading.Event(), []

    def load():
        with forks.loading():
            has_begun.set()
            time.sleep(0.05)
            loaded.append("a module")

    importing = threading.Thread(target=load)
    importing.start()
    has_begun.wait()
    assert in_child(lambda: loaded) == "['a module']"
    importing.join()
    with forks.loading():  # as an import that itself forks
        assert in_child(lambda: "goes on") == "goes on"
