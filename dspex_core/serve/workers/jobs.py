"""One call in a worker: it runs the program, sends the pieces and the end, and can be cancelled. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Protocol

from dspex_core.errors import ProgramFailedError
from dspex_core.flow.threads import watched_work
from dspex_core.serve.interface import service_error
from dspex_core.serve.workers.frames import FrameError
from dspex_core.serve.workers.tracing import continued

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dspex_core.serve.in_process import ProgramRunner
    from dspex_core.serve.interface import Piece

_GLANCE = 0.05  # seconds between two looks whether a cancelled call's threads have ended


class Service(Protocol):
    """The side of the socket that a job writes to."""

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message."""

    async def flush(self) -> None:
        """Wait until what was sent arrives, whatever becomes of this process."""


class Job:
    """A call that a worker runs.

    Pieces are sent by a task of their own, which waits while the service does not read: until then, pieces of one
    output grow together, so that a slow reader costs no more memory than the outputs have.
    """

    def __init__(self, number: int, runner: ProgramRunner, service: Service) -> None:
        self._number = number
        self._runner = runner
        self._service = service
        self._pieces: list[list[Any]] = []
        self._arrived = asyncio.Event()
        self._is_cancelled = False
        self._task: asyncio.Task[None]

    def begin(self, message: Mapping[str, Any], on_end: Callable[[], object]) -> None:
        """Run the call of a message in a task."""
        self._task = asyncio.create_task(self._run(message, on_end))

    def cancel(self) -> None:
        """Cancel the program."""
        self._is_cancelled = True
        self._task.cancel()

    async def _run(self, message: Mapping[str, Any], on_end: Callable[[], object]) -> None:
        sending = asyncio.create_task(self._send_pieces()) if message["streams"] else None
        try:
            ended = await self._outcome(message)
        finally:
            if sending is not None:
                sending.cancel()
        self._send_waiting()
        self._end(ended)
        on_end()

    async def _outcome(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Return the message with which the call ends; a cancelled call has ended when its threads have."""
        with watched_work() as work:
            try:
                self._service.send({"kind": "begun", "call": self._number})
                await self._service.flush()
                until = message["until"]
                if until is not None and time.monotonic() > until:  # looked at last: another worker may have it by now
                    return {"kind": "withdrawn"}
                with continued(message["trace"]):
                    on_chunk = self._add if message["streams"] else None
                    outputs = await self._runner.call(message["inputs"], on_chunk=on_chunk)
            except BaseException as error:  # noqa: BLE001  `sys.exit()` in a program ends its call, not the worker
                if not self._is_cancelled:
                    return {"kind": "failed", "error": service_error(error).to_json()}
                while work.is_under_way:  # noqa: ASYNC110  threads of any kind of step end without a word
                    await asyncio.sleep(_GLANCE)
                return {"kind": "cancelled"}
            return {"kind": "outputs", "outputs": outputs}

    def _end(self, message: dict[str, Any]) -> None:
        try:
            self._service.send({**message, "call": self._number})
        except FrameError as error:
            failure = ProgramFailedError(f"the outputs cannot be sent: {error}", details={"type": "outputs"})
            self._service.send({"kind": "failed", "call": self._number, "error": failure.to_json()})

    def _add(self, piece: Piece) -> None:
        last = self._pieces[-1] if self._pieces else None
        is_next = last is not None and last[:2] == [piece.predictor, piece.field] and not last[3]
        if last is not None and is_next and not piece.replaces:
            last[2] += piece.delta
            last[3] = piece.is_last
        else:
            self._pieces.append([piece.predictor, piece.field, piece.delta, piece.is_last, piece.replaces])
        self._arrived.set()

    async def _send_pieces(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            self._send_waiting()
            await self._service.flush()

    def _send_waiting(self) -> None:
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            self._service.send({"kind": "pieces", "call": self._number, "pieces": pieces})
