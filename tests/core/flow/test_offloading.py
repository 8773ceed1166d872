"""Sync work of many tasks shares threads, and neither the event loop nor other work waits for work that blocks."""

import asyncio
import contextvars
import threading
import time

import pytest

from dspex_core.flow import offloading as module
from dspex_core.flow.offloading import offloaded, offloading

mark = contextvars.ContextVar("mark", default="none")


async def all_of(*works):
    """Do works at once; return their results and errors in order."""
    with offloading():
        return await asyncio.gather(*[asyncio.create_task(offloaded(work)) for work in works], return_exceptions=True)


def test_short_work_shares_one_thread():
    threads = asyncio.run(all_of(*[threading.current_thread] * 50))
    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()
    threads[0].join(30)
    assert not threads[0].is_alive()


@pytest.mark.parametrize("fails", [False, True])
def test_the_result_of_short_work_needs_no_round_of_the_event_loop(monkeypatch, fails):
    monkeypatch.setattr(module, "_LONG", 30)  # seconds, on a machine that does other work
    rounds = []

    def work():
        if fails:
            raise ValueError("mine")
        return "done"

    async def run():
        with offloading():
            asyncio.get_running_loop().call_soon(rounds.append, "round")
            if fails:
                with pytest.raises(ValueError, match="mine"):
                    await offloaded(work)
            else:
                assert await offloaded(work) == "done"
            assert not rounds

    asyncio.run(run())


def test_work_that_blocks_runs_at_the_same_time():
    everybody = threading.Barrier(20)
    asyncio.run(all_of(*[lambda: everybody.wait(30)] * 20))  # breaks the barrier if one of them is not begun


def test_work_after_work_that_blocks_is_done():
    release = threading.Event()

    async def run():
        with offloading():
            late = asyncio.create_task(offloaded(lambda: release.wait(30)))
            await asyncio.sleep(0)
            assert await asyncio.wait_for(offloaded(lambda: "done"), 30) == "done"
            assert not late.done()
            release.set()
            assert await late

    asyncio.run(run())


def test_the_event_loop_goes_on_meanwhile():
    release = threading.Event()

    async def run():
        asyncio.get_running_loop().call_later(0.01, release.set)
        return await all_of(lambda: release.wait(30))

    assert asyncio.run(run()) == [True]


def test_long_work_keeps_its_threads():
    def work():
        time.sleep(0.002)
        return threading.current_thread()

    async def run():
        with offloading():
            return [await offloaded(work) for _ in range(20)]

    assert len(set(asyncio.run(run()))) < 5


def test_errors_and_contexts_are_each_works_own():
    def failing():
        raise ValueError("mine")

    def marking():
        before = mark.get()
        mark.set("of a work")
        return before

    async def run():
        mark.set("of the task")
        return await all_of(marking, failing, marking)

    first, error, second = asyncio.run(run())
    assert (first, second) == ("of the task", "of the task")
    with pytest.raises(ValueError, match="mine"):
        raise error


def test_who_is_cancelled_leaves_the_others_their_results():
    release = threading.Event()

    async def run():
        with offloading():
            cancelled = asyncio.create_task(offloaded(lambda: release.wait(30)))
            other = asyncio.create_task(offloaded(lambda: release.wait(30)))
            await asyncio.sleep(0)
            cancelled.cancel()
            release.set()
            assert await other
            assert cancelled.cancelled()

    asyncio.run(run())


def test_another_loop_in_the_same_context_has_threads_of_its_own():
    async def outer():
        with offloading():
            inner = await offloaded(lambda: asyncio.run(offloaded(threading.current_thread)))
            return inner, await offloaded(threading.current_thread)

    inner, own = asyncio.run(outer())
    assert inner is not own


def test_a_loop_that_ends_first_leaves_late_work_behind():
    release, done = threading.Event(), threading.Event()

    def late():
        release.wait(30)
        done.set()

    async def run():
        with offloading(), pytest.raises(TimeoutError):
            await asyncio.wait_for(offloaded(late), 0.01)

    asyncio.run(run())
    release.set()
    assert done.wait(30)
