"""Warnings of other libraries about their own code stay away from users; users' own do not."""

import asyncio
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from openai_server import OpenAIServer

from dspex_core import LM
from dspex_core.errors.foreign_code import foreign_code, ignore_foreign_warnings

LIBRARY = """
import asyncio
import threading
import warnings

warnings.warn("at import")


def call():
    warnings.warn("at call", DeprecationWarning)
    warnings.warn_explicit("explicit", FutureWarning, "elsewhere.py", 7)
    return "called"


async def acall():
    call()
    await asyncio.sleep(0)
    await asyncio.create_task(within())
    return await asyncio.to_thread(call)


async def within():
    call()


def in_a_thread_of_its_own():
    failed = []
    thread = threading.Thread(target=attempt, args=[failed], name="litellm-logging_0")
    thread.start()
    thread.join()
    return failed


def attempt(failed):
    try:
        call()
    except Warning as warning:
        failed.append(warning)
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library that warns at its import and at each call; warnings are errors, as in all these tests."""
    (tmp_path / "warning_library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "warning_library", raising=False)
    with foreign_code():
        import warning_library
    return warning_library


def test_its_import_and_its_calls_are_silent(library):
    with foreign_code():
        assert library.call() == "called"


def test_outside_of_it_all_warnings_are_as_ever(library):
    with foreign_code():
        pass
    with pytest.raises(DeprecationWarning, match="at call"):
        library.call()
    with pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


def test_a_failure_inside_ends_it(library):
    with pytest.raises(KeyError), foreign_code():
        raise KeyError
    with pytest.raises(DeprecationWarning):
        library.call()


def test_each_task_is_inside_by_itself(library):
    async def outside(started, ended):
        await started.wait()
        with pytest.raises(DeprecationWarning):
            library.call()
        ended.set()

    async def inside(started, ended):
        with foreign_code():
            started.set()
            await ended.wait()
            return await library.acall()

    async def both():
        events = asyncio.Event(), asyncio.Event()
        return await asyncio.gather(inside(*events), outside(*events))

    assert asyncio.run(both()) == ["called", None]


def test_each_thread_is_inside_by_itself(library):
    inside, outside = threading.Barrier(2, timeout=10), threading.Barrier(2, timeout=10)

    def within():
        with foreign_code():
            inside.wait()
            outside.wait()
            return library.call()

    def without():
        inside.wait()
        with pytest.raises(DeprecationWarning):
            library.call()
        outside.wait()

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(within), pool.submit(without)]
        assert [call.result() for call in calls] == ["called", None]


def test_it_holds_in_front_of_filters_that_are_set_later(library):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with foreign_code():
            library.call()
            warnings.simplefilter("error")
            ignore_foreign_warnings()
            library.call()
    assert caught == []


def test_it_shows_no_warning_of_the_user_twice():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        with foreign_code():
            pass
        for _ in range(3):
            warnings.warn("mine", stacklevel=1)
            with foreign_code():
                warnings.warn("mine", stacklevel=1)
    assert [str(each.message) for each in caught] == ["mine"]


def test_the_threads_of_litellm_are_inside(library):
    ignore_foreign_warnings()
    assert library.in_a_thread_of_its_own() == []


CALL = """
import asyncio
import gc
import sys
import warnings
from dspex_core import LM

def listener(chunk):
    try:
        warnings.warn("the user's own")
    except UserWarning:
        print("heard")

lm = LM("openai/gpt-4o-mini", api_base=sys.argv[1], api_key="k", cache=False, engine="litellm", num_retries=0)
print(lm("hi"))
print(asyncio.run(lm.acall("hi")))
gc.collect()
print("".join(chunk.text for chunk in lm.stream("hi")))
try:
    warnings.warn("the user's own")
except UserWarning:
    print("heard")
"""


def test_a_program_that_runs_with_warnings_as_errors_calls_through_litellm():
    with OpenAIServer() as server:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", CALL, server.base_url], capture_output=True, text=True, check=False
        )
    assert run.stderr == ""  # where Python complains of connections and event loops left open, too
    assert run.stdout.splitlines() == ["['ok']", "['ok']", "ok", "heard"]


def test_a_listener_to_a_stream_is_outside():
    from dspex_core.messages import LMRequest, Message

    heard = []

    def listen(chunk):
        with pytest.raises(UserWarning, match="mine"):
            warnings.warn("mine", stacklevel=1)
        heard.append(chunk.text)

    request = LMRequest((Message("user", "hi"),), on_chunk=listen)
    with OpenAIServer() as server:
        lm = LM("openai/gpt-4o-mini", api_base=server.base_url, api_key="k", cache=False, engine="litellm")
        lm.complete(request)
        asyncio.run(lm.acomplete(request))
    assert "".join(heard) == "okok"
