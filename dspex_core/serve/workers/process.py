"""A worker's process, as its service sees it: the socket, the output, the memory, the end. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dspex_core.plain.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Callable

STACKS = signal.SIGUSR1  # on which a worker writes where it is, also while it is stuck in C
_PROC = Path("/proc")
_UNREAD = 2**16  # bytes that the socket holds: asyncio reads all of them at once, so a look at it is a whole one
_KEPT_LINES = 60
_LONGEST_LINE = 2000  # characters
_LAST_WORDS_SECONDS = 0.5  # how long to wait for the rest of an ended process's output


class WorkerProcess:
    """A new process that runs `python -m dspex_core.serve.workers`.

    It is not a fork of this one, which has threads. It has a session of its own, so that Ctrl+C in a terminal reaches
    the service alone, which lets the calls end; and so that whatever it has started ends with it.

    Args:
        on_line: Receives each line that it writes to its stdout or stderr, from a thread, without credentials.
    """

    def __init__(self, on_line: Callable[[int, str], None]) -> None:
        self.socket, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNREAD)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  this interpreter, and a module of ours
                [sys.executable, "-m", "dspex_core.serve.workers", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._is_gone = False
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._listener = threading.Thread(target=self._listen, name="dspex-worker-output", daemon=True)
        self._listener.start()

    def memory(self) -> int | None:
        """Return how many bytes of memory it uses; `None` where there is no /proc, or it has ended."""
        try:
            pages = int((_PROC / str(self.pid) / "statm").read_text(encoding="ascii").split()[1])
        except (OSError, ValueError, IndexError):
            return None
        return pages * os.sysconf("SC_PAGE_SIZE")

    def show_stacks(self) -> None:
        """Let it write where each of its threads is."""
        if not self._is_gone:
            self._process.send_signal(STACKS)

    def terminate(self) -> None:
        """Ask it and all that it has started to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it has started."""
        self._signal(signal.SIGKILL)

    def has_ended(self) -> bool:
        """Return whether it has ended; what it has started may still run."""
        return self._process.poll() is not None

    def wait(self, patience: float) -> str:
        """Wait for its end, end what it has left running, and say how it ended. It blocks.

        Args:
            patience: After how many seconds to end it.
        """
        try:
            status = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self._process.wait()
        self.kill()
        self._is_gone = True
        self._listener.join(_LAST_WORDS_SECONDS)
        if status >= 0:
            return f"it exited with status {status}"
        with suppress(ValueError):
            return f"it was ended by {signal.Signals(-status).name}"
        return f"it was ended by signal {-status}"

    def last_words(self) -> str:
        """Return the last lines that it has written, without credentials."""
        return "\n".join(tuple(self._lines))

    def _signal(self, number: signal.Signals) -> None:
        if not self._is_gone:  # its id may be another's by now
            with suppress(ProcessLookupError, PermissionError):  # it has ended; macOS refuses to signal what has
                os.killpg(self.pid, number)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            while raw := output.readline(_LONGEST_LINE):
                line = masked(raw.decode("utf-8", "replace").rstrip())
                self._lines.append(line)
                self._on_line(self.pid, line)


def memory_is_known() -> bool:
    """Return whether this system says how much memory a process uses."""
    return (_PROC / "self" / "statm").exists()
