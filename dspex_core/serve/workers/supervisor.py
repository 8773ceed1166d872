"""Runs a program in worker processes, and replaces those that fail. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from dspex_core.errors import (
    BadInputError,
    BusyError,
    ConfigurationError,
    ServiceError,
    ShuttingDownError,
    TimedOutError,
    WorkerCrashedError,
)
from dspex_core.plain.display import value_text
from dspex_core.serve.interface import ServedProgram
from dspex_core.serve.workers.backoff import Backoff
from dspex_core.serve.workers.frames import FrameError, framed
from dspex_core.serve.workers.kept import with_content
from dspex_core.serve.workers.member import Ending, Member, NotBegunError, Running, crashed
from dspex_core.serve.workers.options import WorkerOptions
from dspex_core.serve.workers.process import memory_is_known
from dspex_core.serve.workers.setup import WorkerSetup, check_setup

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from dspex_core.serve.interface import JSONObject, OnChunk

_log = logging.getLogger("dspex.serve")
_MOST_SENDS = 3  # of a call to workers that end before they begin it, which it may cause, or are stuck


@dataclass(frozen=True, slots=True)
class WorkersState:
    """How the workers are, for metrics and logs.

    Args:
        ready: How many take calls.
        running: How many calls run, those included that were cancelled and have not ended.
        waiting: How many calls wait for room.
        pids: The processes that take calls.
        started: How many were started so far.
        failed: How many have ended without being asked to.
    """

    ready: int
    running: int
    waiting: int
    pids: tuple[int, ...]
    started: int
    failed: int


@dataclass(slots=True, eq=False)
class _Place:
    """A place for one worker after the other."""

    backoff: Backoff
    member: Member | None = None
    failed_starts: int = 0
    trouble: str = ""  # why the latest start failed, for the operator

    def seconds_after(self, member: Member, ending: Ending, options: WorkerOptions) -> float:
        """Return how long to wait for the next start after a worker has failed."""
        if member.answered or member.age >= options.healthy:
            self.backoff.reset()
        if not member.has_been_ready:
            self.failed_starts += options.start_tries if ending.is_unfit else 1
            self.trouble = _in_words(member, ending)
        return self.backoff.seconds()


class Supervisor:
    """A `Backend` that runs a program in worker processes.

    A worker that crashes, hangs, or uses too much memory is replaced, after waits that grow while that goes on. The
    calls that it ran fail with a `WorkerCrashedError`: no call is run twice. Those that it had not begun go to others,
    as do those that wait too long behind a call that blocks their worker. A call that does not end in time is
    cancelled; if that takes longer than the grace time, its worker is replaced.

    Args:
        program: What callers know of the program; `describe` returns it.
        setup: How workers make the program.
        options: How many workers there are, and when one is replaced.

    Raises:
        ArtifactError: The file or folder of the setup cannot be read. It is read now: workers that start later run
            what it holds now.
        ConfigurationError: The setup is not JSON data, such as an `LM` in the place of its name, or a part of it has
            another type.
    """

    def __init__(self, program: ServedProgram, setup: WorkerSetup, options: WorkerOptions | None = None) -> None:
        self._program = program
        self._options = WorkerOptions() if options is None else options
        if not (isinstance(setup, WorkerSetup) and isinstance(self._options, WorkerOptions)):
            raise ConfigurationError(
                f"a supervisor takes a `WorkerSetup` and `WorkerOptions`, not {setup!r} and {options!r}"
            )
        if not isinstance(program, ServedProgram):
            raise ConfigurationError(
                f"a supervisor takes what `describe` returns of a program, not {value_text(program, 200)}"
            )
        check_setup(setup)
        self._setup = replace(with_content(setup), beat=self._options.beat, paths=tuple(sys.path))
        try:
            framed({"kind": "setup", "setup": self._setup.to_json()})
        except (FrameError, TypeError) as error:
            raise ConfigurationError(f"the setup of workers must be JSON data: {error}") from None
        self._places = [
            _Place(Backoff(self._options.first_wait, self._options.longest_wait)) for _ in range(self._options.workers)
        ]
        self._line: deque[asyncio.Future[Member]] = deque()
        self._leaving: set[Member] = set()  # their calls go on; others have taken their places
        self._tasks: set[asyncio.Task[None]] = set()
        self._counts: Counter[str] = Counter()
        self._is_ending = asyncio.Event()
        self._changed = asyncio.Event()

    @property
    def program(self) -> ServedProgram:
        """The program that it runs."""
        return self._program

    @property
    def state(self) -> WorkersState:
        """How the workers are now."""
        members = [*self._members(), *self._leaving]
        ready = [member for member in members if member.is_ready and not member.is_leaving]
        return WorkersState(
            ready=len(ready),
            running=sum(len(member.running) for member in members),
            waiting=len(self._line),
            pids=tuple(member.pid for member in ready),
            started=self._counts["started"],
            failed=self._counts["failed"],
        )

    def counts(self) -> dict[str, float]:
        """Return how the workers are, for metrics."""
        state = self.state
        return {
            "ready": state.ready,
            "running": state.running,
            "waiting": state.waiting,
            "started": state.started,
            "failed": state.failed,
        }

    def ready(self) -> bool:
        """Return whether a worker takes calls."""
        return not self._is_ending.is_set() and self.state.ready > 0

    def trouble(self) -> str | None:
        """Return why workers cannot start, with the last lines that one has written; `None` where they can.

        It is for operators, not for callers.
        """
        return next((place.trouble for place in self._places if place.trouble), None)

    async def start(self) -> None:
        """Start the workers, and wait until one is ready.

        Raises:
            WorkerCrashedError: No worker can start; the message says why.
        """
        if self._options.memory is not None and not memory_is_known():
            _log.warning("the memory limit of workers has no effect: this system has no /proc")
        for place in self._places:
            self._spawn(self._keep(place))
        while not self.state.ready:
            if self._is_ending.is_set():
                raise _ends()
            if self._are_broken():
                trouble = self.trouble()
                await self.drain(0)
                raise WorkerCrashedError(f"no worker can run the program: {trouble}")
            self._changed.clear()
            await self._changed.wait()

    async def call(
        self,
        inputs: JSONObject,
        *,
        timeout: float,  # noqa: ASYNC109  the contract of a backend
        on_chunk: OnChunk | None = None,
    ) -> JSONObject:
        """Run the program in a worker; see `Backend`."""
        call: Running | None = None
        try:
            async with asyncio.timeout(timeout):
                for sends in range(_MOST_SENDS):
                    member = await self._member()
                    call = self._begun(member, inputs, on_chunk, stays=sends == _MOST_SENDS - 1)
                    try:
                        return await call.outputs
                    except NotBegunError as error:
                        reason = str(error)
                    finally:
                        member.cancel(call)  # no effect on one that has ended
                raise crashed(reason)
        except TimeoutError:
            message = f"the program has not answered within {timeout:g} seconds"
            raise TimedOutError(message, details={"begun": call is not None and call.is_begun}) from None

    async def drain(self, timeout: float) -> None:  # noqa: ASYNC109  as for `call`
        """Begin no further call, wait for those under way, and end the workers."""
        self._is_ending.set()
        self._changed.set()
        self._refuse_waiting(_ends())
        members = [*self._members(), *self._leaving]
        for member in members:
            member.leave("the service ends")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout)
        for member in members:
            if member.running:
                member.end("the service ends", is_planned=True)
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _members(self) -> list[Member]:
        return [place.member for place in self._places if place.member is not None]

    def _begun(self, member: Member, inputs: JSONObject, on_chunk: OnChunk | None, *, stays: bool) -> Running:
        try:
            return member.begin(inputs, on_chunk, stays=stays)
        except FrameError as error:
            self._grant()
            raise BadInputError(str(error)) from None

    async def _member(self) -> Member:
        """Return the worker for a call, with room reserved there."""
        while True:
            member = self._with_room() or await self._in_line()
            if not member.is_leaving:
                return member
            member.give_back()  # it has ended meanwhile; nothing was sent to it

    def _with_room(self) -> Member | None:
        """Reserve room; return `None` if the call has to wait.

        Raises:
            BusyError: No worker has room, and no more calls may wait; or the service ends.
        """
        if self._is_ending.is_set():
            raise _ends()
        free = [] if self._line else self._free()
        if free:
            return _reserved(free)
        if self._are_broken():
            raise _no_worker()
        if len(self._line) >= self._options.longest_line:
            raise BusyError(f"{self._options.room} requests are under way and {len(self._line)} wait; try again later")
        return None

    def _free(self) -> list[Member]:
        return [member for member in self._members() if member.room > 0]

    async def _in_line(self) -> Member:
        """Wait for room, in the order in which calls have come."""
        turn: asyncio.Future[Member] = asyncio.get_running_loop().create_future()
        self._line.append(turn)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:  # it had its turn just now
                turn.result().give_back()
            elif turn in self._line:
                self._line.remove(turn)
            self._grant()
            raise

    def _grant(self) -> None:
        """Give room to calls that wait."""
        while self._line:
            free = self._free()
            if not free:
                return
            turn = self._line.popleft()
            if not turn.done():
                turn.set_result(_reserved(free))

    def _refuse_waiting(self, error: ServiceError) -> None:
        while self._line:
            turn = self._line.popleft()
            if not turn.done():
                turn.set_exception(error)

    async def _keep(self, place: _Place) -> None:
        """Keep a worker in a place: start one after the other."""
        while not self._is_ending.is_set():
            member = place.member = Member(self._setup, self._options, self._grant)
            self._counts["started"] += 1
            self._spawn(self._live(place, member))
            await member.left.wait()
            place.member = None
            if member.ending is None:  # its calls go on, beside the one that takes its place
                self._leaving.add(member)
            elif not member.ending.is_planned:
                await self._pause(place.seconds_after(member, member.ending, self._options))

    async def _live(self, place: _Place, member: Member) -> None:
        """Let a worker live, and say how it has ended."""
        ending = await member.live(lambda: self._is_up(place))
        self._leaving.discard(member)
        if not ending.is_planned:
            self._counts["failed"] += 1
            words = member.last_words()
            _log.warning(
                "worker %d has ended: %s%s", member.pid, ending.reason, f"; it wrote:\n{words}" if words else ""
            )
        self._changed.set()

    def _is_up(self, place: _Place) -> None:
        place.failed_starts, place.trouble = 0, ""
        self._changed.set()
        self._grant()

    async def _pause(self, seconds: float) -> None:
        """Wait before the next start, unless the service ends."""
        self._changed.set()
        if self._are_broken():
            self._refuse_waiting(_no_worker())
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_ending.wait(), seconds)

    def _are_broken(self) -> bool:
        return all(place.failed_starts >= self._options.start_tries for place in self._places)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _reserved(members: list[Member]) -> Member:
    """Reserve room in the worker with the fewest calls."""
    found = min(members, key=lambda member: member.load)
    found.reserved += 1
    return found


def _in_words(member: Member, ending: Ending) -> str:
    words = member.last_words()
    return f"{ending.reason}; it wrote:\n{words}" if words else ending.reason


def _no_worker() -> BusyError:
    return BusyError("no worker can run the program at the moment; the service's log says why", retry_after=5.0)


def _ends() -> ShuttingDownError:
    return ShuttingDownError("the service ends: send the request again, to another instance")
