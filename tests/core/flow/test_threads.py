"""Threads that do one short piece of work after another."""

import asyncio
import contextvars
import threading
import time
import weakref

import pytest

from dspex_core.flow.steps import Call, adrive, drive
from dspex_core.flow.threads import Crew, in_thread, reused_threads
from dspex_core.flow.together import Together

mark = contextvars.ContextVar("mark", default="none")


def one_after_the_other(work, number):
    """Run a function in many pieces of one evaluation, whose event loop must not block."""

    def piece():
        yield Call(work)

    async def run():
        await Together(iter([piece() for _ in range(number)]), 1).arun()

    asyncio.run(run())


def test_sync_work_of_many_pieces_shares_a_thread_that_ends_with_them():
    seen = []
    one_after_the_other(lambda: seen.append(threading.current_thread()), 20)
    assert len(seen) == 20
    [thread] = set(seen)
    assert thread is not threading.current_thread()
    thread.join(30)
    assert not thread.is_alive()


def test_each_piece_of_work_has_a_context_and_an_error_of_its_own():
    def work():
        seen.append(mark.get())
        mark.set("of another piece")

    def failing():
        raise ValueError("mine")

    seen = []
    with reused_threads():
        token = mark.set("outer")
        for _ in range(3):
            in_thread(work).result()
        with pytest.raises(ValueError, match="mine"):
            in_thread(failing).result()
        assert in_thread(lambda: "fine").result() == "fine"
        mark.reset(token)
    assert seen == ["outer"] * 3


def test_work_that_is_late_does_not_hold_up_other_work():
    release = threading.Event()
    with reused_threads():
        late = in_thread(lambda: release.wait(30))
        assert in_thread(threading.get_ident).result() == in_thread(threading.get_ident).result()
        assert not late.done()
        release.set()
        assert late.result(30)


def test_a_thread_works_for_the_thread_that_started_it():
    # A recorder knows by the starter whose calls those of a thread are.
    with reused_threads():
        mine = in_thread(threading.get_ident).result()
        context = contextvars.copy_context()
        theirs = []
        other = threading.Thread(
            target=context.run, args=(lambda: theirs.append(in_thread(threading.get_ident).result()),)
        )
        other.start()
        other.join(30)
        assert theirs
        assert theirs != [mine]
        assert in_thread(threading.get_ident).result() == mine


def test_an_idle_thread_keeps_no_result_alive():
    class Large:
        pass

    with reused_threads():
        found = weakref.ref(in_thread(Large).result())
        deadline = time.monotonic() + 30
        while found() is not None and time.monotonic() < deadline:
            time.sleep(0.001)
        assert found() is None


def test_flows_that_are_driven_sync_share_threads_too():
    seen = []

    def piece():
        in_thread(lambda: seen.append(threading.current_thread())).result()
        return
        yield

    def flow():
        yield Together(iter([piece() for _ in range(10)]), 1)

    drive(flow())
    assert len(seen) == 10
    assert len(set(seen)) == 1


def test_work_after_the_end_has_threads_as_before():
    async def run():
        def flow():
            return (yield Call(lambda: threading.current_thread().daemon))

        return await adrive(flow())

    one_after_the_other(lambda: None, 2)
    assert asyncio.run(run()) is True


def test_a_spare_crew_is_used_again_until_its_patience_ends():
    crew = Crew(patience=0.05)
    threads = [in_thread(threading.current_thread, crew).result(30) for _ in range(5)]
    threads[-1].join(30)
    assert not threads[-1].is_alive()
    assert in_thread(lambda: "of a new thread", crew).result(30) == "of a new thread"


def test_work_that_arrives_as_patience_ends_is_done():
    crew = Crew(patience=0.0005)
    for number in range(300):
        assert in_thread(lambda number=number: number, crew).result(30) == number
        time.sleep(0.0005)
