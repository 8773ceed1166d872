"""Many pieces of work, some at the same time, with their failures as values. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import threading
from collections.abc import Sized
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from dspex_core.errors import BudgetExceededError
from dspex_core.flow.in_step import in_step
from dspex_core.flow.together import Together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from dspex_core.flow.steps import Flow

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Finished(Generic[T]):
    """A piece of work that has ended: its place, and its value or its error."""

    index: int
    value: T | None = None
    error: Exception | None = None


class Runner(Generic[T]):
    """Runs each piece of work once, and begins no more when too many have failed or the budget has run out.

    The thread or task that ends a piece hands it on at once, so that an interrupt of the one who waits loses
    nothing, and a failure counts before the next piece begins. The runner keeps none of them. A piece that
    waits for another process or machine is a flow whose step waits for that future; the runner need not know.

    Args:
        width: How many run at once.
        max_errors: How many may fail.
        on_finished: Called with each finished piece, one at a time.
        error_of: Returns the error of a value that stands for a failure, if pieces return such values.
    """

    def __init__(
        self,
        *,
        width: int,
        max_errors: int,
        on_finished: Callable[[Finished[T]], None],
        error_of: Callable[[T], Exception | None] = lambda _: None,
    ) -> None:
        self.width = width
        self.max_errors = max_errors
        self.failed = 0
        self.over_budget: BudgetExceededError | None = None
        self._stopped = False
        self._on_finished = on_finished
        self._error_of = error_of
        self._lock = threading.Lock()

    def steps(self, pieces: Iterable[Callable[[], Flow[T]]], chunks: Callable[[int], int] | None = None) -> Flow[None]:
        """Run the pieces, in threads or in tasks; an iterator is read as there is room for another piece.

        Args:
            pieces: What begins each piece.
            chunks: How many pieces run in step with each other as if they were one (`in_step`), by how many have
                begun; `None` if each runs by itself.
        """
        width = min(self.width, len(pieces)) if isinstance(pieces, Sized) else self.width
        yield Together(self._todo(pieces) if chunks is None else self._chunks(pieces, chunks), max(1, width))

    def stop(self) -> None:
        """Begin no more pieces; those under way end."""
        self._stopped = True

    @property
    def gave_up(self) -> bool:
        """Whether too many have failed or the budget has run out."""
        return self.over_budget is not None or self.failed > self.max_errors

    def _todo(self, pieces: Iterable[Callable[[], Flow[T]]]) -> Iterator[Flow[None]]:
        for index, begin in enumerate(pieces):
            yield self._one(index, begin)
            if self._stopped or self.gave_up:  # before another piece is read
                return

    def _chunks(self, pieces: Iterable[Callable[[], Flow[T]]], size: Callable[[int], int]) -> Iterator[Flow[None]]:
        numbered = enumerate(pieces)
        begun = 0
        while chunk := list(islice(numbered, size(begun))):
            begun += len(chunk)
            yield in_step([(index, self._one(index, begin)) for index, begin in chunk])
            if self._stopped or self.gave_up:  # as in `_todo`
                return

    def _one(self, index: int, begin: Callable[[], Flow[T]]) -> Flow[None]:
        try:
            value = yield from begin()
        except Exception as error:  # noqa: BLE001  the boundary at which errors become values
            finished: Finished[T] = Finished(index, error=error)
        else:
            finished = Finished(index, value, self._error_of(value))
        self._hand_on(finished)

    def _hand_on(self, finished: Finished[T]) -> None:
        with self._lock:
            self.failed += finished.error is not None
            if isinstance(finished.error, BudgetExceededError):
                self.over_budget = finished.error
            self._on_finished(finished)
