"""Awaiting what is sync, and calling what is async. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.flow.steps import Call, adrive
from dspex_core.lm.engines.per_loop import PerLoop
from dspex_core.programs.base import Module, running

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable


def asyncify(program: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    """Return an async function that calls a program: a module by its `acall`, any other function in a thread.

    In each event loop `settings.async_max_workers` such calls run at once, and others wait.
    """

    async def limited(*args: Any, **inputs: Any) -> Any:
        limits = await _limits.get()
        async with limits[current().async_max_workers]:
            return await adrive(running(program, *args, **inputs))

    return limited


class _Limits(dict[int, asyncio.Semaphore]):
    """A semaphore for each number of calls at once."""

    def __missing__(self, most: int) -> asyncio.Semaphore:
        return self.setdefault(most, asyncio.Semaphore(most))


async def _of_loop() -> AsyncGenerator[_Limits, None]:
    yield _Limits()


_limits = PerLoop(_of_loop)


def syncify(program: Callable[..., Any], in_place: bool = True) -> Callable[..., Any]:  # noqa: ARG001, FBT001, FBT002  DSPy's
    """Return a function that calls an async one and waits; a module, which can be called anyway, is returned itself.

    `in_place` is of no effect; it is there for DSPy's sake.
    """
    if isinstance(program, Module):
        return program

    def call(*args: Any, **inputs: Any) -> Any:
        return Call(program, args, inputs).run()

    return call
