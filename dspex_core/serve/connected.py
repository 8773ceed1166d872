"""Work for a client that ends when the client goes. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dspex_core.serve.refusals import ClientGoneError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from dspex_core.serve.guard import Receive


async def while_connected(receive: Receive, work: Coroutine[Any, Any, Any]) -> Any:
    """Return what the work returns; cancel it when the client closes its connection.

    Args:
        receive: The request's messages after its body.
        work: What is done for the client.

    Raises:
        ClientGoneError: The client has closed its connection.
    """
    task = asyncio.create_task(work)
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        await end(task, leaving)


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their ends."""
    under_way = [task for task in tasks if not task.done()]
    for task in under_way:
        task.cancel()
    if under_way:
        await asyncio.wait(under_way)
    for task in tasks:
        _ = task.cancelled() or task.exception()  # else asyncio warns about an exception that was never retrieved


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
