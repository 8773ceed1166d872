import asyncio
import gc
import json
import logging
import pickle
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dspex_core.errors import LMServerError
from dspex_core.flow.steps import adrive, drive
from dspex_core.lm.cache import ResponseCache, default_cache
from dspex_core.messages import LMOutput, LMResponse, Usage

OK = LMResponse((LMOutput("ok", "stop"),), "m", Usage(7, 3), cost=0.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "cache.sqlite"


class TestKeeping:
    def test_what_was_put_is_found_as_cached_and_free(self, path):
        for cache in (ResponseCache(), ResponseCache(path)):
            assert cache.get("k") is None
            cache.put("k", OK)
            found = cache.get("k")
            assert (found.outputs, found.model, found.usage) == (OK.outputs, OK.model, OK.usage)
            assert (found.cached, found.cost) == (True, 0.0)

    def test_a_later_cache_on_the_same_file_finds_it(self, path):
        ResponseCache(path).put("k", OK)
        found = ResponseCache(str(path)).get("k")
        assert (found.text, found.cached, found.cost) == ("ok", True, 0.0)

    def test_nothing_is_made_before_first_use(self, path):
        ResponseCache(path)
        assert not path.parent.exists()

    def test_the_least_recently_used_leave_memory_first(self):
        cache = ResponseCache(memory_entries=2)
        cache.put("a", OK)
        cache.put("b", OK)
        cache.get("a")
        cache.put("c", OK)
        assert [key for key in "abc" if cache.get(key)] == ["a", "c"]

    def test_what_left_memory_is_still_in_the_file(self, path):
        cache = ResponseCache(path, memory_entries=1)
        for key in "abc":
            cache.put(key, OK)
        assert all(cache.get(key) for key in "abc")

    def test_a_row_is_json_text_and_a_later_put_replaces_it(self, path):
        cache = ResponseCache(path)
        cache.put("k", LMResponse((LMOutput("old"),)))
        cache.put("k", OK)
        with sqlite3.connect(path) as connection:
            rows = connection.execute("SELECT key, response FROM responses").fetchall()
        connection.close()
        assert [(key, json.loads(text)) for key, text in rows] == [("k", OK.to_json())]

    @given(
        st.builds(
            LMResponse,
            st.lists(
                st.builds(LMOutput, st.text(), st.none() | st.text(), st.none() | st.text()), min_size=1, max_size=3
            ).map(tuple),
            st.text(),
            st.builds(Usage, st.integers(0, 10**9), st.integers(0, 10**9)),
        )
    )
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
    def test_every_response_comes_back_from_the_file_as_it_was(self, path, response):
        ResponseCache(path).put("k", response)
        found = ResponseCache(str(path)).get("k")
        assert (found.outputs, found.model, found.usage) == (response.outputs, response.model, response.usage)

    def test_half_a_surrogate_pair_comes_back_too(self, path):
        ResponseCache(path).put("k", LMResponse((LMOutput("\ud800"),)))
        assert ResponseCache(path).get("k").text == "\ud800"

    def test_the_default_is_one_for_each_directory_of_the_environment(self, monkeypatch, tmp_path):
        monkeypatch.setenv("DSPEX_CACHE_DIR", str(tmp_path / "a"))
        first = default_cache()
        assert first is default_cache()
        assert first.path == tmp_path / "a" / "responses.sqlite"
        monkeypatch.setenv("DSPEX_CACHE_DIR", str(tmp_path / "b"))
        assert default_cache() is not first

    def test_the_default_directory_is_the_users_own(self, monkeypatch, tmp_path):
        monkeypatch.delenv("DSPEX_CACHE_DIR")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert default_cache().path.parts[-2:] == ("pytest-dspex", "responses.sqlite")


class TestAFileThatCannotBeUsed:
    @pytest.fixture
    def uncached(self, caplog):
        """Use a cache whose file is no good, and check that only one warning tells of it."""

        def uncached(path):
            with caplog.at_level(logging.WARNING, "dspex"):
                cache = ResponseCache(path)
                for key in "ab":
                    assert cache.get(key) is None
                    cache.put(key, OK)
                    assert cache.get(key).text == "ok"
            (record,) = caplog.records
            assert str(path) in record.getMessage()

        return uncached

    def test_no_database(self, path, uncached):
        path.parent.mkdir()
        path.write_bytes(b"this is no database, and long enough to be seen as none" * 20)
        uncached(path)

    def test_a_place_where_nothing_can_be_made(self, path, uncached):
        path.parent.write_text("a file where a directory should be")
        uncached(path)

    def test_another_programs_database(self, path, uncached):
        path.parent.mkdir()
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE responses (something_else TEXT)")
        connection.close()
        uncached(path)

    def test_a_database_that_another_process_keeps_locked(self, path, uncached, monkeypatch):
        monkeypatch.setattr("dspex_core.lm.cache._BUSY_SECONDS", 0.05)
        ResponseCache(path).put("x", OK)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        uncached(path)
        connection.close()

    def test_a_full_disk(self, path, caplog):
        cache = ResponseCache(path, memory_entries=1)
        cache.put("a", OK)
        cache._file._connection.execute("PRAGMA max_page_count=1")  # SQLite's own way to be full
        with caplog.at_level(logging.WARNING, "dspex"):
            for number in range(5):
                cache.put(str(number), LMResponse((LMOutput("x" * 10_000),)))
        assert len(caplog.records) == 1
        assert "full" in caplog.text

    @pytest.mark.parametrize("text", ["{half", "[]", "{}", '{"outputs": [{"no": 1}], "model": "", "usage": {}}'])
    def test_a_row_that_cannot_be_read_is_a_miss(self, path, text, caplog):
        ResponseCache(path).put("k", OK)
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE responses SET response = ?", (text,))
        connection.close()
        cache = ResponseCache(path)
        assert cache.get("k") is None
        assert "k" in caplog.text
        cache.put("k", OK)
        assert ResponseCache(path).get("k").text == "ok"


WRITER = """
    import sys
    from pathlib import Path
    from dspex_core.lm.cache import ResponseCache
    from dspex_core.messages import LMOutput, LMResponse
    cache = ResponseCache(Path(sys.argv[1]))
    for number in range(int(sys.argv[3])):
        cache.put(f"{sys.argv[2]}-{number}", LMResponse((LMOutput(str(number) * 200),)))
        print(number, flush=True)
"""


def writer(path, name, count):
    code = textwrap.dedent(WRITER)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(path), name, str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


# Five children in turn write to one file; the first is sometimes killed while it makes it. A child says of each
# entry that it is kept by a byte in a pipe, which outlives it.
KILLED_WHILE_WRITING = """
import itertools, os, random, signal, sys, time
from pathlib import Path
from dspex_core.lm.cache import ResponseCache
from dspex_core.messages import LMOutput, LMResponse

def write(path, name, told):
    cache = ResponseCache(path)
    for number in itertools.count():
        cache.put(f"{name}-{number}", LMResponse((LMOutput(f"{number}" * 200),)))
        os.write(told, b".")

def check(path, names):
    cache = ResponseCache(path)
    for name in names:
        for number in range(kept[name]):
            assert cache.get(f"{name}-{number}").text == f"{number}" * 200, (path, name, number)
    cache.put("after", LMResponse((LMOutput("ok"),)))
    assert ResponseCache(path).get("after").text == "ok"

chance, kept, folder = random.Random(0), {}, Path(sys.argv[1])
for attempt in range(50):
    path = folder / f"{attempt // 5}.sqlite"
    reader, told = os.pipe()
    child = os.fork()
    if not child:
        write(path, attempt, told)
    os.close(told)
    with open(reader, "rb", buffering=0) as acknowledged:
        kept[attempt] = len(acknowledged.read(1)) if attempt % 5 else 0
        time.sleep(chance.uniform(0, 0.04))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kept[attempt] += len(acknowledged.read())
    check(path, [attempt])
for attempt in range(0, 50, 5):
    check(folder / f"{attempt // 5}.sqlite", range(attempt, attempt + 5))
print(sum(kept.values()))
"""


class TestProcesses:
    def test_two_that_open_the_file_at_once_both_keep_all(self, path):
        writers = [writer(path, name, 200) for name in "ab"]
        for process in writers:
            _, complaints = process.communicate(timeout=60)
            assert (process.returncode, complaints) == (0, b"")
        cache = ResponseCache(path)
        assert all(cache.get(f"{name}-{number}") for name in "ab" for number in range(200))

    def test_killed_at_any_moment_it_leaves_all_that_was_put(self, tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", KILLED_WHILE_WRITING, tmp_path], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""  # nor was there a warning that a file cannot be used
        assert int(done.stdout) >= 40  # one of each child that does not make a file


class Model:
    """Stands for the call behind the cache: it counts, takes its time, and may be told to fail."""

    def __init__(self, seconds=0.1, failure=None):
        self.seconds = seconds
        self.failure = failure
        self.calls = 0
        self.started = threading.Event()

    def ask(self):
        self.calls += 1
        self.started.set()
        yield Pause(self.seconds)
        if self.failure:
            raise self.failure
        return OK


@dataclass
class Pause:
    seconds: float

    def run(self):
        time.sleep(self.seconds)

    async def arun(self):
        await asyncio.sleep(self.seconds)


def fetch(cache, model):
    return drive(cache.fetch("k", model.ask))


async def afetch(cache, model):
    return await adrive(cache.fetch("k", model.ask))


class TestSingleFlight:
    def test_eight_threads_make_one_call(self):
        cache, model = ResponseCache(), Model()
        with ThreadPoolExecutor(8) as pool:
            responses = list(pool.map(lambda _: fetch(cache, model), range(8)))
        assert model.calls == 1
        assert sorted(response.cached for response in responses) == [False] + [True] * 7

    def test_eight_tasks_make_one_call(self):
        cache, model = ResponseCache(), Model()

        async def eight():
            return await asyncio.gather(*[afetch(cache, model) for _ in range(8)])

        assert {response.text for response in asyncio.run(eight())} == {"ok"}
        assert model.calls == 1

    @pytest.mark.parametrize("first", ["thread", "task"])
    def test_threads_and_tasks_together_make_one_call(self, first):
        cache, model = ResponseCache(), Model(0.2)

        async def eight():
            loop = asyncio.get_running_loop()
            with ThreadPoolExecutor(4) as pool:
                threads = [lambda: loop.run_in_executor(pool, fetch, cache, model)] * 4
                tasks = [lambda: asyncio.create_task(afetch(cache, model))] * 4
                order = threads + tasks if first == "thread" else tasks + threads
                started = [order[0]()]
                await asyncio.to_thread(model.started.wait)
                started += [start() for start in order[1:]]
                return await asyncio.gather(*started)

        assert {response.text for response in asyncio.run(eight())} == {"ok"}
        assert model.calls == 1

    def test_different_keys_do_not_wait_for_each_other(self):
        cache, slow = ResponseCache(), Model(5)
        thread = threading.Thread(target=fetch, args=(cache, slow), daemon=True)
        thread.start()
        slow.started.wait()
        assert drive(cache.fetch("other", Model(0).ask)).text == "ok"

    def test_those_who_wait_get_the_failure_too_and_later_ones_ask_anew(self):
        cache, model = ResponseCache(), Model(failure=LMServerError("down"))

        async def eight():
            tasks = [afetch(cache, model) for _ in range(4)]
            threads = [asyncio.to_thread(fetch, cache, model) for _ in range(4)]
            return await asyncio.gather(*tasks, *threads, return_exceptions=True)

        assert [str(outcome) for outcome in asyncio.run(eight())] == ["down"] * 8
        assert model.calls == 1
        with pytest.raises(LMServerError):
            fetch(cache, model)
        assert model.calls == 2

    def test_a_cancelled_leader_passes_the_lead_on(self):
        cache, model = ResponseCache(), Model(0.2)

        async def scene():
            leader = asyncio.create_task(afetch(cache, model))
            await asyncio.to_thread(model.started.wait)
            followers = [asyncio.create_task(afetch(cache, model)) for _ in range(3)]
            thread = asyncio.create_task(asyncio.to_thread(fetch, cache, model))
            await asyncio.sleep(0.05)
            leader.cancel()
            return await asyncio.gather(leader, thread, *followers, return_exceptions=True)

        cancelled, *others = asyncio.run(scene())
        assert isinstance(cancelled, asyncio.CancelledError)
        assert [other.text for other in others] == ["ok"] * 4
        assert model.calls == 2

    @pytest.mark.parametrize("failure", [None, LMServerError("down")])
    def test_a_cancelled_follower_disturbs_nobody(self, failure, caplog):
        gc.collect()  # asyncio logs what earlier tests have left
        caplog.clear()
        cache, model = ResponseCache(), Model(0.2, failure)

        async def scene():
            leader = asyncio.create_task(afetch(cache, model))
            await asyncio.sleep(0)
            follower, other = (asyncio.create_task(afetch(cache, model)) for _ in range(2))
            await asyncio.sleep(0.05)
            follower.cancel()
            return await asyncio.gather(leader, other, return_exceptions=True)

        first, second = asyncio.run(scene())
        gc.collect()
        assert first is failure if failure else first.text == "ok"
        assert second is failure if failure else second.text == "ok"
        assert model.calls == 1
        assert not caplog.records

    def test_a_sync_call_on_the_loop_of_the_leading_task_asks_for_itself(self, monkeypatch):
        monkeypatch.setattr("dspex_core.lm.cache._BEAT_SECONDS", 600)  # it does not wait for a beat
        cache, model = ResponseCache(), Model(0.1)

        async def scene():
            leader = asyncio.create_task(afetch(cache, model))
            await asyncio.sleep(0)
            blocking = fetch(cache, model)
            return blocking.text, (await leader).text

        assert asyncio.run(scene()) == ("ok", "ok")
        assert model.calls == 2

    def test_a_thread_for_which_the_leaders_loop_waits_asks_for_itself(self, monkeypatch):
        monkeypatch.setattr("dspex_core.lm.cache._BEAT_SECONDS", 0.05)
        cache, model = ResponseCache(), Model(0.01)

        async def scene():
            leader = asyncio.create_task(afetch(cache, model))
            await asyncio.sleep(0)
            with ThreadPoolExecutor(1) as pool:
                blocking = pool.submit(fetch, cache, model).result(timeout=10)  # blocks the loop
            return blocking.text, (await leader).text

        assert asyncio.run(scene()) == ("ok", "ok")

    def test_a_task_whose_leaders_loop_stands_still_asks_for_itself(self, monkeypatch):
        monkeypatch.setattr("dspex_core.lm.cache._BEAT_SECONDS", 0.05)
        cache, model = ResponseCache(), Model(60)
        standing = asyncio.new_event_loop()
        leader = standing.create_task(afetch(cache, model))
        standing.run_until_complete(asyncio.sleep(0))
        try:
            assert asyncio.run(afetch(cache, Model(0))).text == "ok"
        finally:
            leader.cancel()
            standing.run_until_complete(asyncio.wait([leader]))
            standing.close()

    def test_followers_of_a_slow_task_go_on_waiting_while_its_loop_lives(self, monkeypatch):
        monkeypatch.setattr("dspex_core.lm.cache._BEAT_SECONDS", 0.05)
        cache, model = ResponseCache(), Model(0.4)

        async def scene():
            leader = asyncio.create_task(afetch(cache, model))
            await asyncio.to_thread(model.started.wait)
            follower = asyncio.create_task(afetch(cache, model))
            return await asyncio.gather(leader, follower, asyncio.to_thread(fetch, cache, model))

        assert [response.text for response in asyncio.run(scene())] == ["ok"] * 3
        assert model.calls == 1


def test_a_cache_may_keep_the_cost_of_a_response():
    paid = replace(OK, cost=0.25)
    for keeps_cost, cost in ((False, 0.0), (True, 0.25)):
        cache = pickle.loads(pickle.dumps(ResponseCache(keeps_cost=keeps_cost)))
        cache.put("k", paid)
        found = cache.get("k")
        assert (found.cached, found.cost) == (True, cost)


@pytest.mark.parametrize(
    "said", ["your key is correct horse battery 9", "try sk-abcdefghijklmnop", "Bearer abcdefghijk"]
)
def test_a_response_with_a_credential_stays_in_memory(tmp_path, monkeypatch, said):
    monkeypatch.setenv("MY_SERVICE_API_KEY", "correct horse battery 9")
    response = LMResponse((LMOutput(said, "stop"),), model="m", usage=Usage(1, 1))
    cache = ResponseCache(tmp_path / "cache.sqlite")
    for key, each in (("a", response), ("b", replace(response, outputs=(LMOutput("harmless", "stop"),)))):
        cache.put(key, each)

    assert cache.get("a").text == said
    again = ResponseCache(tmp_path / "cache.sqlite")
    assert again.get("a") is None
    assert again.get("b").text == "harmless"
    del cache, again
    gc.collect()
    assert said.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
