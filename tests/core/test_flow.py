"""Flows: one generator, driven sync and async."""

import asyncio
import time

import pytest

from dspex_core.flow import Call, Sleep, adrive, drive


def inner(value):
    return (yield Call(lambda: value + 1))


def composed(value):
    first = yield from inner(value)
    yield Sleep(0.001)
    return (yield from inner(first))


def handling():
    try:
        yield Call(lambda: 1 / 0)
    except ZeroDivisionError:
        return "handled"


def failing():
    yield Call(lambda: 1 / 0)


def run(how, flow):
    return drive(flow) if how == "sync" else asyncio.run(adrive(flow))


both = pytest.mark.parametrize("how", ["sync", "async"])


@both
def test_the_value_of_a_flow_is_what_it_returns(how):
    assert run(how, composed(1)) == 3


@both
def test_the_error_of_a_step_is_thrown_into_the_flow(how):
    assert run(how, handling()) == "handled"
    with pytest.raises(ZeroDivisionError):
        run(how, failing())


@both
def test_a_call_takes_sync_and_async_functions(how):
    async def double(value, *, plus=0):
        await asyncio.sleep(0)
        return 2 * value + plus

    def flow():
        return (yield Call(double, (2,), {"plus": 1}))

    assert run(how, flow()) == 5


def test_a_sync_function_does_not_block_the_event_loop():
    ticks = []

    async def main():
        async def tick():
            while True:
                ticks.append(1)
                await asyncio.sleep(0.001)

        ticker = asyncio.create_task(tick())
        await Call(time.sleep, (0.1,)).arun()
        ticker.cancel()

    asyncio.run(main())
    assert len(ticks) > 5


@both
def test_a_flow_cleans_up_when_a_step_is_interrupted(how):
    ended = []

    def flow():
        try:
            yield Call(interrupt)
        finally:
            ended.append(True)

    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(how, flow())
    assert ended == [True]
