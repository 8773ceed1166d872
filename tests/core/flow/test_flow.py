"""Flows: one generator, driven sync and async."""

import asyncio
import threading
import time

import pytest

from dspex_core import Evaluate, Example, Module, Predict, ScriptedLM, asyncify, context
from dspex_core.errors import StraySignalError
from dspex_core.flow.steps import Call, Sleep, adrive, drive


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


SIGNALS = [StopIteration("done"), StopAsyncIteration(), GeneratorExit()]


@both
@pytest.mark.parametrize("signal", SIGNALS, ids=repr)
@pytest.mark.parametrize("how_defined", ["def", "async def"])
def test_a_signal_that_only_ends_iterators_is_an_error_and_not_a_hang(how, signal, how_defined):
    def sync():
        raise signal

    async def awaited():
        raise signal

    async def within_a_limit():
        return await asyncio.wait_for(adrive(calling()), 5)

    def calling():
        return (yield Call(sync if how_defined == "def" else awaited))

    if isinstance(signal, GeneratorExit) and how_defined == "async def":
        pytest.skip("it closes the coroutine, as it closes a generator")
    with pytest.raises(StraySignalError, match=f"raised {type(signal).__name__}") as caught:
        drive(calling()) if how == "sync" else asyncio.run(within_a_limit())
    assert isinstance(caught.value.__cause__, type(signal) | RuntimeError)


class Raising(Module):
    def forward(self, n):
        return next(iter(()))


@both
@pytest.mark.parametrize("guilty", ["program", "metric", "lm"])
def test_an_evaluation_records_a_signal_as_the_error_of_its_case(how, guilty):
    def metric(example, prediction, trace=None):
        return next(iter(())) if guilty == "metric" else 1.0

    program = {"program": Raising(), "metric": lambda n: n, "lm": Predict("n -> m")}[guilty]
    evaluate = Evaluate(devset=[Example(n=1).with_inputs("n")] * 3, metric=metric, num_threads=2)
    with context(lm=ScriptedLM(lambda _: next(iter(())))):
        result = evaluate(program) if how == "sync" else asyncio.run(asyncio.wait_for(evaluate.acall(program), 20))

    errors = [case.error.error for case in result.cases]
    assert len(errors) == 3
    assert all(isinstance(error, RuntimeError) for error in errors)  # a StraySignalError, or what Python makes of it


@pytest.mark.parametrize("signal", [StopIteration, StopAsyncIteration])
def test_what_is_made_async_does_not_hang_either(signal):
    def stops():
        raise signal

    with pytest.raises(StraySignalError):
        asyncio.run(asyncio.wait_for(asyncify(stops)(), 5))


def test_a_sync_call_that_was_cancelled_does_not_hold_up_the_end_of_the_loop():
    release, ended = threading.Event(), []

    def work():
        release.wait()
        ended.append(True)

    async def main():
        await asyncio.wait_for(Call(work).arun(), 0.05)

    try:
        with pytest.raises(TimeoutError):
            asyncio.run(main())
        assert not ended
    finally:
        release.set()
