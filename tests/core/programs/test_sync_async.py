"""Sync and async code, each called from the other."""

import asyncio
import threading

import pytest

from dspex_core import Module, Predict, ScriptedLM, asyncify, context, settings, syncify

REPLIES = [{"answer": "yes"}] * 2


class Awaited(Module):
    def __init__(self):
        self.ask = Predict("question -> answer")

    async def aforward(self, question):
        return await self.ask.acall(question=question)


class AsyncCallable:
    async def __call__(self, number):
        await asyncio.sleep(0)
        return number + 1


def test_asyncify_awaits_a_program_and_runs_a_function_in_a_thread():
    async def both():
        found = await asyncify(Predict("question -> answer"))(question="?")
        return found.answer, await asyncify(threading.get_ident)(), threading.get_ident()

    with context(lm=ScriptedLM(REPLIES)):
        answer, there, here = asyncio.run(both())
    assert answer == "yes"
    assert there != here


@pytest.mark.parametrize("function", [AsyncCallable(), AsyncCallable().__call__])
def test_syncify_waits_for_a_function(function):
    assert syncify(function)(1) == 2


def test_an_async_program_can_be_called_where_an_event_loop_runs():
    async def notebook():
        return syncify(Awaited())(question="?").answer, settings.lm

    with context(lm=(lm := ScriptedLM(REPLIES))):
        assert asyncio.run(notebook()) == ("yes", lm)
        assert Awaited()(question="?").answer == "yes"


def test_the_error_of_an_async_program_is_raised_where_it_was_called():
    class Failing(Module):
        async def aforward(self):
            raise LookupError("nothing there")

    async def notebook():
        Failing()()

    with pytest.raises(LookupError, match="nothing there"):
        Failing()()
    with pytest.raises(LookupError, match="nothing there"):
        asyncio.run(notebook())
