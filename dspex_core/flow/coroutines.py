"""Coroutines that begin at once, without a task of their own. PYTEST_DONT_REWRITE

A task begins only when the event loop has been through all that is ready before it, and whoever awaits it goes on only
after another such round. With many calls under way, these rounds put all of them in step: replies that come in together
are followed by requests that go out together, with the work of all of them in between.
"""

from __future__ import annotations

from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator
    from contextvars import Context

T = TypeVar("T")


async def in_context(work: Coroutine[Any, Any, T], context: Context) -> T:
    """Await a coroutine whose every step runs in a context that nothing else enters meanwhile."""
    try:
        awaited = context.run(work.send, None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # StopIteration is not generic
    return await _others(work, context.run, awaited)


def begun(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    """Take the first step of a coroutine now, and return what takes the others, or raises the error of the first."""
    try:
        awaited = work.send(None)
    except StopIteration:
        return _ended(None)
    except Exception as error:  # noqa: BLE001  who awaits the rest gets it
        return _ended(error)
    return _gone_on(work, awaited)


async def _ended(error: Exception | None) -> None:
    if error is not None:
        raise error


async def _gone_on(work: Coroutine[Any, Any, None], awaited: Any) -> None:
    await _others(work, _take, awaited)


@coroutine
def _others(work: Coroutine[Any, Any, T], take: Callable[..., Any], awaited: Any) -> Generator[Any, Any, T]:
    """Await what a coroutine awaits after its first step, and take each next step."""
    try:
        while True:
            try:
                resume, given = work.send, (yield awaited)
            except GeneratorExit:  # whoever awaited it is gone
                take(work.close)
                raise
            except BaseException as error:  # noqa: BLE001  a cancellation, or what was awaited has failed
                resume, given = work.throw, error
            awaited = take(resume, given)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # as above


def _take(step: Callable[..., Any], *given: Any) -> Any:
    return step(*given)
