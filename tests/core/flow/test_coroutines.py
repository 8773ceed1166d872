"""Coroutines that begin at once run in a context of their own, and end, fail and are cancelled as in a task."""

import asyncio
import contextvars
import time

import pytest

from dspex_core.flow.coroutines import begun, in_context
from dspex_core.flow.steps import Call
from dspex_core.flow.together import Together

mark = contextvars.ContextVar("mark", default="none")


async def marking(name, rounds=2):
    seen = [mark.get()]
    mark.set(name)
    for _ in range(rounds):
        await asyncio.sleep(0)
        seen.append(mark.get())
    return seen


def test_each_keeps_a_context_of_its_own_over_all_its_steps():
    async def run():
        mark.set("outer")
        first = await in_context(marking("first"), contextvars.copy_context())
        second = await in_context(marking("second"), contextvars.copy_context())
        return first, second, mark.get()

    assert asyncio.run(run()) == (["outer", "first", "first"], ["outer", "second", "second"], "outer")


def test_it_begins_and_ends_without_a_round_of_the_event_loop():
    rounds = []

    async def run():
        asyncio.get_running_loop().call_soon(rounds.append, "round")
        await in_context(marking("none", rounds=0), contextvars.copy_context())
        assert not rounds

    asyncio.run(run())


@pytest.mark.parametrize("rounds", [0, 2])
def test_an_error_reaches_who_awaits_it(rounds):
    async def failing():
        for _ in range(rounds):
            await asyncio.sleep(0)
        raise ValueError("mine")

    async def run():
        with pytest.raises(ValueError, match="mine"):
            await in_context(failing(), contextvars.copy_context())
        rest = begun(failing())
        with pytest.raises(ValueError, match="mine"):
            await rest

    asyncio.run(run())


def test_what_was_awaited_and_fails_can_be_handled():
    async def handling(future):
        try:
            await future
        except ValueError as error:
            return str(error)

    async def run():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_exception, ValueError("of a future"))
        return await in_context(handling(future), contextvars.copy_context())

    assert asyncio.run(run()) == "of a future"


def test_time_limits_and_groups_inside_work_as_in_a_task():
    async def work():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        async with asyncio.TaskGroup() as tasks:
            found = tasks.create_task(marking("in a group"))
        return found.result()

    async def run():
        return await in_context(work(), contextvars.copy_context())

    assert asyncio.run(run()) == ["none", "in a group", "in a group"]


def test_cancelling_the_task_reaches_it_in_its_context():
    seen = []

    async def waiting():
        mark.set("inside")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            seen.append(mark.get())

    async def run():
        task = asyncio.create_task(in_context(waiting(), contextvars.copy_context()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert seen == ["inside"]


def test_closing_it_closes_what_it_awaits():
    seen = []

    async def waiting():
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("closed")

    async def run():
        work = in_context(waiting(), contextvars.copy_context())
        work.send(None)
        work.close()

    asyncio.run(run())
    assert seen == ["closed"]


def test_begun_takes_the_first_step_now_and_the_others_when_awaited():
    seen = []

    async def work():
        seen.append("first")
        await asyncio.sleep(0)
        seen.append("second")

    async def run():
        rest = begun(work())
        assert seen == ["first"]
        await rest

    asyncio.run(run())
    assert seen == ["first", "second"]


def test_flows_that_run_together_follow_each_other_without_a_round_of_the_event_loop():
    rounds, seen = [], []

    async def nothing():
        seen.append(len(rounds))

    def piece():
        yield Call(nothing)

    async def run():
        def count():
            rounds.append("round")
            asyncio.get_running_loop().call_soon(count)

        count()
        await Together(iter([piece() for _ in range(10)]), 1).arun()

    asyncio.run(run())
    assert len(set(seen)) == 1


async def _at_once():
    """Return without waiting for anything."""


@pytest.mark.parametrize("function", [_at_once, len], ids=["async", "sync"])
@pytest.mark.parametrize("nested", [False, True])
def test_pieces_that_never_wait_leave_other_tasks_their_turns(function, nested):
    begun = 0

    def piece():
        yield Call(function, () if function is _at_once else ("",))

    def pieces():
        nonlocal begun
        for _ in range(30_000):  # far more than fit between two turns
            begun += 1
            yield piece()

    def outer():
        yield Together(pieces(), 1)

    async def run():
        flows = iter([outer()]) if nested else pieces()
        evaluation = asyncio.create_task(Together(flows, 1).arun())
        while not begun:  # noqa: ASYNC110  it has no event
            await asyncio.sleep(0)
        evaluation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await evaluation

    asyncio.run(run())
    assert 0 < begun < 30_000


def test_pieces_that_were_answered_together_each_go_on_to_the_next_one_at_once():
    """If not, those that go on late all send their requests late, and wait while nothing else is to do."""
    width, rounds, seen = 8, 3, []

    async def answered_with_the_others(gate):
        seen.append("asks")
        await gate.wait()
        time.sleep(0.003)  # noqa: ASYNC251  works on the reply: all of them take longer than a loop may be kept
        seen.append("is done")

    def piece(gate):
        yield Call(answered_with_the_others, (gate,))

    async def run():
        gates = [asyncio.Event() for _ in range(rounds)]
        pieces = (piece(gate) for gate in gates for _ in range(width))
        together = asyncio.create_task(Together(pieces, width).arun())
        for gate in gates:
            await asyncio.sleep(0.01)
            gate.set()
        await together

    asyncio.run(run())
    assert seen[:width] == ["asks"] * width
    assert seen[width:] == ["is done", "asks"] * (width * (rounds - 1)) + ["is done"] * width


def test_one_piece_whose_many_steps_never_wait_leaves_other_tasks_their_turns():
    done = 0

    def piece():
        nonlocal done
        for _ in range(30_000):
            yield Call(len, ("",))
            done += 1

    async def run():
        evaluation = asyncio.create_task(Together(iter([piece()]), 1).arun())
        while not done:  # noqa: ASYNC110  it has no event
            await asyncio.sleep(0)
        evaluation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await evaluation

    asyncio.run(run())
    assert done < 30_000
