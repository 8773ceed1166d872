"""Orders to the workers of an executor, and how many pieces of work go in one. PYTEST_DONT_REWRITE

A message costs milliseconds of the caller's and the worker's CPU time (4 and 4 with Dask), so short pieces travel
together, as many as take `LONG_ENOUGH`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dspex_core.flow.in_step import JointStep, Outcome
from dspex_core.flow.steps import adrive, drive
from dspex_core.programs.remote.worker import LONG_ENOUGH, Common, Done, Order, Piece, fulfil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import Executor, Future

    from dspex_core.flow.steps import Flow
    from dspex_core.programs.remote.own_code import SourceFile
    from dspex_core.programs.remote.packing import Parcel

_MOST = 32  # pieces of a message: those behind one that takes longer than expected wait for it
_MESSAGES_SEEN = 8
_WORTH_IT = 1 / 4  # of a full message; the rest is not divided further


class Post:
    """Sends pieces of one piece of work to workers, and notes how long they take there.

    Args:
        executor: The workers.
        job: What the pieces have in common.
        recorder: What stands for the caller's recorder.
        imports: The files of the caller's own modules that workers import, by name.
    """

    def __init__(self, executor: Executor, *, job: Common, recorder: Common, imports: Mapping[str, SourceFile]) -> None:
        self._executor = executor
        paths = tuple(path or os.getcwd() for path in sys.path)  # noqa: PTH109  paths are texts here
        self._whole = Order(job, recorder, paths, imports, ())
        self._short = replace(self._whole, job=replace(job, parcel=None), recorder=replace(recorder, parcel=None))
        self._is_known = False  # whether a worker has the job
        self._lock = threading.Lock()
        self._seconds: deque[float] = deque(maxlen=_MESSAGES_SEEN)  # the longest piece of each message

    def at_once(self, left: int | None, width: int) -> int:
        """Return how many pieces to send in one message.

        Args:
            left: How many there are to be sent yet, if that is known.
            width: How many messages are under way at the same time.
        """
        with self._lock:
            longest = max(self._seconds, default=LONG_ENOUGH)
        fitting = LONG_ENOUGH / max(longest, LONG_ENOUGH / _MOST)
        if left is not None:  # smaller towards the end, so that workers end at about one time
            fitting = max(fitting * _WORTH_IT, min(fitting, left / width))
        return max(1, int(fitting))

    def exchange(self, pieces: Sequence[Piece]) -> Flow[list[Outcome]]:
        """Have pieces of work done; return what came of each: a parcel, or the executor's error.

        What a worker has left undone is sent again. So are pieces of a message that is lost, each alone, so that only
        the one fails that takes its worker down.
        """
        outcomes: list[Outcome] = []
        size = len(pieces)
        while batch := pieces[len(outcomes) :][:size]:
            try:
                done = yield from self._sent(batch)
            except Exception as error:  # noqa: BLE001  whatever the executor raises when it has lost its workers
                if len(batch) == 1:
                    outcomes.append(Outcome(error=error))
                size = 1
            else:
                outcomes += [Outcome(parcel) for parcel in done]
                size = len(done)
        return outcomes

    def _sent(self, pieces: Sequence[Piece]) -> Flow[Sequence[Parcel]]:
        done: Done | None = None
        if self._is_known:
            done = yield _Submitted(self._executor, replace(self._short, pieces=tuple(pieces)))
        if done is None:  # a worker that has not had the job yet
            done = yield _Submitted(self._executor, replace(self._whole, pieces=tuple(pieces)))
            assert done is not None, "it was sent the job"
        self._is_known = True
        with self._lock:
            self._seconds.append(done.longest)
        return done.parcels


@dataclass(frozen=True, slots=True)
class Sent(JointStep):
    """The step of having one piece of work done by a worker."""

    post: Post
    piece: Piece

    def run(self) -> Parcel:
        """Wait for the worker in this thread."""
        return _only(drive(self.post.exchange((self.piece,))))

    async def arun(self) -> Parcel:
        """Wait for the worker without blocking the event loop."""
        return _only(await adrive(self.post.exchange((self.piece,))))

    def joined(self, others: Sequence[Sent]) -> Flow[Sequence[Outcome]]:
        """Have all of the pieces done with one message."""
        return (yield from self.post.exchange((self.piece, *(other.piece for other in others))))


def _only(outcomes: Sequence[Outcome]) -> Parcel:
    (outcome,) = outcomes
    if outcome.error is not None:
        raise outcome.error
    parcel: Parcel = outcome.value
    return parcel


@dataclass(frozen=True, slots=True)
class _Submitted:
    """The step of waiting for a worker's answer to an order."""

    executor: Executor
    order: Order

    def run(self) -> Done | None:
        """Submit the order and wait; an interrupt of the waiting cancels it."""
        future = self._submitted()
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def arun(self) -> Done | None:
        """Submit the order and wait without blocking the event loop."""
        return await asyncio.wrap_future(self._submitted())

    def _submitted(self) -> Future[Done | None]:
        return self.executor.submit(fulfil, self.order)
