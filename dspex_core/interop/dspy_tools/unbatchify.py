"""Single calls that become calls with many items. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import queue
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable

_Waiting = tuple[Any, Future[Any]]


class Unbatchify:
    """Calls a function of many items from calls with one each, which threads make at the same time.

    Args:
        batch_fn: Takes a list of items and returns a list with a result for each.
        max_batch_size: How many items it gets at most.
        max_wait_time: How many seconds the first item of a list waits for others.
    """

    def __init__(
        self, batch_fn: Callable[[list[Any]], list[Any]], max_batch_size: int = 32, max_wait_time: float = 0.1
    ) -> None:
        self.batch_fn = batch_fn
        self.max_batch_size = max_batch_size
        self.max_wait_time = max_wait_time
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue()
        self._lock = threading.Lock()  # nothing is put behind the end
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="dspex-unbatchify", daemon=True)
        self._thread.start()

    def __call__(self, input_item: Any) -> Any:
        """Return the result for one item; an error of `batch_fn` is raised.

        Raises:
            RuntimeError: It has been closed.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._is_closed:
                raise RuntimeError("Unbatchify is closed")
            self._waiting.put((input_item, future))
        return future.result()

    def close(self) -> None:
        """Answer what waits, and end the thread."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._waiting.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _work(self) -> None:
        more = True
        while more:
            items, more = self._next()
            if items:
                self._answer(items)

    def _next(self) -> tuple[list[_Waiting], bool]:
        """Return the next items, and whether there may be more."""
        first = self._waiting.get()
        if first is None:
            return [], False
        items, until = [first], time.monotonic() + self.max_wait_time
        while len(items) < self.max_batch_size:
            try:
                item = self._waiting.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                break
            if item is None:
                return items, False
            items.append(item)
        return items, True

    def _answer(self, items: list[_Waiting]) -> None:
        futures = [future for _, future in items]
        try:
            results = list(self.batch_fn([item for item, _ in items]))
            if len(results) != len(items):
                raise ValueError(f"batch_fn returned {len(results)} results for {len(items)} items")  # noqa: TRY301  as its own error
        except Exception as error:  # noqa: BLE001  the user's function: its error belongs to those that wait
            for future in futures:
                future.set_exception(error)
        else:
            for future, result in zip(futures, results, strict=True):
                future.set_result(result)
