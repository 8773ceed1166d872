"""Work in threads that end with the process. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextvars
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
WORK = "dspex-work"  # the name of the threads


def in_thread(work: Callable[[], T]) -> Future[T]:
    """Do some work in a thread that ends with the process: work that is late can be left behind."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()  # who no longer waits cannot cancel it

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  who waits for it gets it
            future.set_exception(error)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), name=WORK, daemon=True).start()
    return future
