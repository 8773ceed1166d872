"""One worker, as its service sees it: the calls that it runs, and how it ends. PYTEST_DONT_REWRITE

A worker says that it begins a call before it runs the program, and waits until the system has that message. So when a
worker has ended, it is known of each call whether the program may have run.

A call that waits behind one that blocks the worker's event loop is withdrawn, and goes to another worker. Each call has
a time by which it must have begun; the worker looks at the clock, which all processes share, after it has said that the
call begins. So a call of which the service has heard nothing, when it has read all that was sent by then, never runs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dspex_core.errors import WorkerCrashedError
from dspex_core.serve.interface import Piece, from_json
from dspex_core.serve.workers.frames import FrameError, framed, next_message
from dspex_core.serve.workers.process import WorkerProcess
from dspex_core.serve.workers.tracing import carried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex_core.serve.interface import JSONObject, OnChunk
    from dspex_core.serve.workers.options import WorkerOptions
    from dspex_core.serve.workers.setup import WorkerSetup

_log = logging.getLogger("dspex.serve")
_USUAL_BEATS = 3  # of silence, on a busy machine
_STACKS_SECONDS = 0.3  # what a stuck worker has to write where it is


class NotBegunError(Exception):
    """A call whose worker has ended, or was stuck, before it began to run the program: another one may get it."""


@dataclass(slots=True, eq=False)
class Running:
    """A call that a worker runs. It takes room there until the worker says that it has ended."""

    number: int
    on_chunk: OnChunk | None
    outputs: asyncio.Future[JSONObject]
    until: float | None  # after which the worker does not begin it, by `time.monotonic`
    late: asyncio.TimerHandle | None = None  # set when it was cancelled
    is_begun: bool = False  # the program runs, or has run
    asked: float = -1.0  # when it was cancelled, by the event loop's clock


@dataclass(frozen=True, slots=True)
class Ending:
    """How a worker ended.

    Args:
        reason: In words.
        is_planned: Whether its service wanted it, other than to replace a worker that had failed.
        is_unfit: Whether it could not make its program, which a new try will not change soon.
    """

    reason: str
    is_planned: bool = False
    is_unfit: bool = False


@dataclass(slots=True, eq=False)
class Member:
    """A worker's process and its calls.

    Args:
        setup: What it runs.
        options: When it is replaced.
        on_room: Called when a call may have room.
    """

    setup: WorkerSetup
    options: WorkerOptions
    on_room: Callable[[], object]
    reserved: int = 0  # calls that are about to begin
    answered: int = 0
    is_ready: bool = False
    is_leaving: bool = False  # it gets no further calls
    has_been_ready: bool = False
    age: float = 0.0  # seconds, when it has ended
    ending: Ending | None = None  # how it has ended
    running: dict[int, Running] = field(default_factory=dict)
    left: asyncio.Event = field(default_factory=asyncio.Event)  # another one may take its place
    _begun: int = 0
    _is_dismissed: bool = False
    _heard: float = 0.0
    _started: float = 0.0
    _verdict: Ending | None = None
    _process: WorkerProcess = field(init=False)
    _writer: asyncio.StreamWriter = field(init=False)
    _reader: asyncio.StreamReader = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def room(self) -> int:
        """How many more calls may begin."""
        if not self.is_ready or self.is_leaving or self._may_be_stuck:
            return 0
        free = self.options.calls_at_once - len(self.running) - self.reserved
        return free if self.options.calls is None else min(free, self.options.calls - self._begun - self.reserved)

    @property
    def load(self) -> int:
        """How many calls it has."""
        return len(self.running) + self.reserved

    @property
    def _usual_silence(self) -> float:
        return _USUAL_BEATS * self.options.beat

    @property
    def _may_be_stuck(self) -> bool:
        """Whether it has been silent for longer than usual, or since it was asked to stop a call."""
        is_silent = self._loop.time() - self._heard > self._usual_silence
        return is_silent or any(call.asked >= self._heard for call in self.running.values())

    async def live(self, on_ready: Callable[[], object]) -> Ending:
        """Start the process, let it run calls, and return how it ended. A cancelled one is killed."""
        if self.is_leaving:  # before it was started
            self.ending = self._verdict or Ending("it was not needed")
            self.left.set()
            return self.ending
        self._loop = asyncio.get_running_loop()
        self._started = self._heard = self._loop.time()
        self._process = WorkerProcess(_log_line)
        watching = None
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(sock=self._process.socket)
            self._send({"kind": "setup", "setup": self.setup.to_json()})
            watching = asyncio.create_task(self._watch())
            await self._read(on_ready)
            patience = self.options.grace
        except BaseException:
            self._process.kill()
            patience = 0.0
            raise
        finally:
            self.is_leaving = True
            self.age = self._loop.time() - self._started
            if watching is not None:
                watching.cancel()
            found = await asyncio.to_thread(self._process.wait, patience)
            self._writer.close()
            self.ending = self._verdict or Ending(found)
            self._fail_calls(self.ending)
            self.left.set()
        return self.ending

    def begin(self, inputs: JSONObject, on_chunk: OnChunk | None, *, stays: bool = False) -> Running:
        """Begin a call in the room that was reserved for it.

        Args:
            inputs: JSON data.
            on_chunk: Takes the pieces of outputs.
            stays: Whether the call waits here however long it takes to begin.

        Raises:
            FrameError: The inputs cannot be sent; nothing was begun.
        """
        self.reserved -= 1
        number = self._begun + 1
        until = None if stays else time.monotonic() + self._usual_silence
        known = {"streams": on_chunk is not None, "trace": carried(), "until": until}
        self._send({"kind": "call", "call": number, "inputs": inputs, **known})
        self._begun = number
        call = self.running[number] = Running(number, on_chunk, self._loop.create_future(), until)
        return call

    def give_back(self) -> None:
        """Give back room that was reserved."""
        self.reserved -= 1
        self._end_if_idle()

    def cancel(self, call: Running) -> None:
        """Cancel a call. If it has not ended after the grace time, the worker is replaced."""
        if call.number not in self.running or call.late is not None:
            return
        call.asked = self._loop.time()
        call.late = self._loop.call_later(self.options.grace, self._not_stopped, call)
        self._send({"kind": "cancel", "call": call.number})

    def leave(self, reason: str) -> None:
        """Take no further call, and end after those under way; at once before it is ready."""
        if not self.is_ready:
            self.end(reason, is_planned=True)
            return
        if not self.is_leaving:
            self.is_leaving = True
            self._verdict = Ending(reason, is_planned=True)
            self.left.set()
        self._end_if_idle()

    def end(self, reason: str, *, is_planned: bool = False) -> None:
        """End at once: the calls under way fail."""
        if self._verdict is None or self._verdict.is_planned:
            self._verdict = Ending(reason, is_planned)
        self.is_leaving = True
        if self._started:
            self._process.kill()

    def last_words(self) -> str:
        """Return the last lines that its process has written."""
        return self._process.last_words()

    async def _read(self, on_ready: Callable[[], object]) -> None:
        """Take the worker's messages until it has closed the socket."""
        while True:
            try:
                message = await next_message(self._reader)
            except FrameError as error:
                self._verdict = Ending(f"it has written to its socket something else than messages: {error}")
                for number in self.running:  # it is not known which
                    self._note_begun(number)
                return
            if message is None:
                return
            self._heard = self._loop.time()
            self._take(message, on_ready)

    def _take(self, message: Mapping[str, Any], on_ready: Callable[[], object]) -> None:
        match message["kind"]:
            case "begun":
                self._note_begun(message["call"])
            case "pieces":
                self._take_pieces(message)
            case "outputs" | "failed" | "cancelled" | "withdrawn":
                self._take_end(message)
            case "beat":
                self.on_room()  # it may have been taken for stuck
            case "ready":
                self.is_ready = self.has_been_ready = True
                on_ready()
            case "unfit":
                self._verdict = Ending(message["reason"], is_unfit=True)
            case "log":
                logging.getLogger(message["logger"]).log(message["level"], "%s", message["message"])

    def _note_begun(self, number: int) -> None:
        call = self.running.get(number)
        if call is not None:
            call.is_begun = True

    def _take_pieces(self, message: Mapping[str, Any]) -> None:
        call = self.running.get(message["call"])
        if call is not None and call.on_chunk is not None and not call.outputs.done():
            for piece in message["pieces"]:
                call.on_chunk(Piece(*piece))

    def _take_end(self, message: Mapping[str, Any]) -> None:
        call = self.running.pop(message["call"], None)
        if call is None:
            return
        if call.late is not None:
            call.late.cancel()
        if message["kind"] == "withdrawn":
            _not_begun(call)
        elif not call.outputs.done():
            self.answered += 1
            if message["kind"] == "outputs":
                call.outputs.set_result(message["outputs"])
            else:
                call.outputs.set_exception(from_json(message["error"]))
        self._have_room()

    def _have_room(self) -> None:
        """Use the room of calls that have ended: for others, or for the end of this worker."""
        if self.options.calls is not None and self._begun >= self.options.calls:
            self.leave(f"it had run {self._begun} calls")
        self._end_if_idle()
        self.on_room()

    def _end_if_idle(self) -> None:
        """Let a worker that leaves end in order: it ends when it reads the end of the socket."""
        if self.is_leaving and not self.load and not self._is_dismissed:
            self._is_dismissed = True
            self._writer.write_eof()
            self._loop.call_later(self.options.grace, self._process.terminate)
            self._loop.call_later(2 * self.options.grace, self._process.kill)

    def _not_stopped(self, call: Running) -> None:
        """Replace a worker that has not stopped a call; nobody waits for that any more."""
        self.running.pop(call.number, None)
        if self._heard <= call.asked:
            self._hung(f"it has not answered for {self._loop.time() - self._heard:.1f} s, and has not stopped a call")
        else:
            _log.warning("worker %d has not stopped a call, which runs on in a thread; it is replaced", self.pid)
            self.leave("it has not stopped a call")

    def _hung(self, reason: str) -> None:
        if self._verdict is None or self._verdict.is_planned:
            self._verdict = Ending(reason)
            self.is_leaving = True
            self._process.show_stacks()
            self._loop.call_later(_STACKS_SECONDS, self._process.kill)

    async def _watch(self) -> None:
        """End a worker that does not start in time, hangs, or uses too much memory."""
        looked = -1.0
        while True:
            await asyncio.sleep(self.options.beat)
            self._withdraw(looked)  # since then, all that had been sent was read
            looked = time.monotonic()
            now = self._loop.time()
            silence = now - self._heard
            if self._process.has_ended():  # a process that it has forked may keep the socket open
                self._process.kill()
            used = self._process.memory() if self.options.memory is not None else None
            if not self.is_ready and now - self._started > self.options.start:
                self._hung(f"it has not loaded its program within {self.options.start:g} s")
            elif self.is_ready and silence > self.options.hang:
                self._hung(f"it has not answered for {silence:.1f} s")
            elif used is not None and self.options.memory is not None and used > self.options.memory:
                self.end(f"it used {used} bytes of memory, more than its limit of {self.options.memory}")

    def _withdraw(self, moment: float) -> None:
        """Give up the calls that should have begun by a moment: the worker will not run them."""
        waiting = [call for call in self.running.values() if not call.is_begun and not call.outputs.done()]
        late = [call for call in waiting if call.until is not None and call.until < moment]
        for call in late:
            del self.running[call.number]
            _not_begun(call)
        if late:
            self._have_room()

    def _fail_calls(self, ending: Ending) -> None:
        for call in self.running.values():
            if call.late is not None:
                call.late.cancel()
            if not call.outputs.done():
                call.outputs.set_exception(crashed(ending.reason) if call.is_begun else NotBegunError(ending.reason))
        self.running.clear()

    def _send(self, message: Mapping[str, Any]) -> None:
        """Send a message. It does not wait: what is under way is limited, and a worker that does not read is hung."""
        data = framed(message)
        if not self._writer.is_closing():  # else the calls fail, or go to another worker, as soon as its end is known
            self._writer.write(data)


def _not_begun(call: Running) -> None:
    call.is_begun = False
    if not call.outputs.done():
        call.outputs.set_exception(NotBegunError("it was stuck"))


def crashed(reason: str) -> WorkerCrashedError:
    """Return the error of a call whose worker has ended."""
    return WorkerCrashedError(
        "the worker process that ran the request has ended before it answered; whether the request has had an effect "
        "is not known, and it was not tried again",
        details={"reason": reason},
    )


def _log_line(pid: int, line: str) -> None:
    _log.info("worker %d: %s", pid, line)
