"""A worker: runs one program for the service that has started it, until that closes the socket. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dspex_core.serve.workers.frames import framed, next_message
from dspex_core.serve.workers.jobs import Job
from dspex_core.serve.workers.process import STACKS
from dspex_core.serve.workers.setup import WorkerSetup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dspex_core.serve.in_process import ProgramRunner

_GOODBYE_SECONDS = 2.0  # how long an orphan may take to end in order
_UNFIT = 3  # the exit status of a worker that cannot make its program


def main(descriptor: int) -> None:
    """Serve the socket with this descriptor until it is closed."""
    faulthandler.enable()  # a crash in C says where
    faulthandler.register(STACKS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its service decides
    os.set_inheritable(descriptor, False)  # noqa: FBT003  what the program starts does not keep the socket open
    link = socket.socket(fileno=descriptor)
    threading.Thread(target=_end_with, args=(link.dup(),), name="dspex-worker-link", daemon=True).start()
    status = asyncio.run(_Worker().serve(link))
    logging.shutdown()
    sys.exit(status)


def _end_with(link: socket.socket) -> None:
    """End this process soon after its service has gone, also where the event loop or another thread is stuck."""
    watch = select.poll()
    watch.register(link, 0)  # which always reports that the other side has closed
    watch.poll()
    time.sleep(_GOODBYE_SECONDS)
    os._exit(1)


class _Worker:
    """The calls of one worker."""

    def __init__(self) -> None:
        self._jobs: dict[int, Job] = {}
        self._writer: asyncio.StreamWriter
        self._loop: asyncio.AbstractEventLoop

    async def serve(self, link: socket.socket) -> int:
        """Run calls until the socket is closed; return the exit status."""
        self._loop = asyncio.get_running_loop()
        reader, self._writer = await asyncio.open_unix_connection(sock=link)
        self._writer.transport.set_write_buffer_limits(high=0)  # flushed is what the system has
        first = await next_message(reader)
        if first is None:
            return 0
        setup = WorkerSetup.from_json(first["setup"])
        sys.path[:] = setup.paths
        self._log_to_service()
        try:
            runner = _runner(setup)
        except Exception as error:  # noqa: BLE001  the program's own code is imported and called
            self.send({"kind": "unfit", "reason": _why(error)})
            with suppress(ConnectionError):
                await self._writer.drain()
            return _UNFIT
        self.send({"kind": "ready"})
        beating = asyncio.create_task(self._beat(setup.beat))
        while (message := await next_message(reader)) is not None:
            self._take(message, runner)
        beating.cancel()
        for job in self._jobs.values():
            job.cancel()
        return 0

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; called in the event loop."""
        self._writer.write(framed(message))

    async def flush(self) -> None:
        """Wait until the system has all that was sent: it arrives even if this process ends now."""
        with suppress(ConnectionError):
            await self._writer.drain()

    def _take(self, message: Mapping[str, Any], runner: ProgramRunner) -> None:
        number = message["call"]
        if message["kind"] == "call":
            job = self._jobs[number] = Job(number, runner, self)
            job.begin(message, lambda: self._jobs.pop(number))
        elif number in self._jobs:  # else it has just ended
            self._jobs[number].cancel()

    async def _beat(self, seconds: float) -> None:
        while True:
            self.send({"kind": "beat"})
            await asyncio.sleep(seconds)

    def _log_to_service(self) -> None:
        """Send what the library logs to the service, with its level; all else that is written arrives as lines."""
        logger = logging.getLogger("dspex")
        logger.addHandler(_ToService(self, self._loop))
        logger.propagate = False


class _ToService(logging.Handler):
    """Sends records of the log as messages."""

    def __init__(self, worker: _Worker, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._worker = worker
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, from any thread."""
        message = {"kind": "log", "logger": record.name, "level": record.levelno, "message": self.format(record)}
        with suppress(RuntimeError):  # the loop was closed: nobody reads it any more
            self._loop.call_soon_threadsafe(self._worker.send, message)


def _runner(setup: WorkerSetup) -> ProgramRunner:
    from dspex_core.serve.workers.making import runner_of  # all of the library, which the socket does not need

    runner = runner_of(setup)
    runner.check()
    return runner


def _why(error: BaseException) -> str:
    from dspex_core.plain.display import error_text  # as above
    from dspex_core.plain.secrets import masked

    return masked(error_text(error))
