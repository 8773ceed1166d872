"""Lines that are appended one by one, so that a killed process loses none of them. PYTEST_DONT_REWRITE

A process holds a lock on its journal, which the system releases when the process ends. Only the last line can be
incomplete: it is not read, and cut off before another is appended.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dspex_core.errors import ConfigurationError
from dspex_core.storage.files import refuse_endless

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCK = 1 << 20


class Journal:
    """A file of lines that one process appends to; any of its threads may.

    Args:
        path: The file; its folder is made if it is not there.
        start: What its first line begins with.

    Raises:
        ConfigurationError: Another process uses the file, or it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, start: bytes) -> None:
        self.path = Path(path)
        self._start = start
        self._lock = threading.Lock()
        self._is_closed = False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except (OSError, ValueError) as error:  # a ValueError for a name with a NUL
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigurationError(f"the journal {str(path)!r} cannot be opened: {reason}") from error
        try:
            refuse_endless(self._descriptor, self.path)
            self._hold()
        except BaseException as error:
            os.close(self._descriptor)
            if isinstance(error, OSError):
                raise ConfigurationError(f"the journal {str(path)!r} cannot be opened: {error.strerror}") from error
            raise
        self._end: int | None = None

    def lines(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield each whole line with its number, from 1, and its place in the file.

        Raises:
            ConfigurationError: The file holds something else, which would be cut off as an incomplete line.
        """
        number, place, rest = 1, 0, b""
        read = 0
        while block := os.pread(self._descriptor, _BLOCK, read):
            read += len(block)
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                yield number, place, line
                number, place = number + 1, place + len(line) + 1
        if number == 1 and rest[: len(self._start)] != self._start[: len(rest)]:
            raise ConfigurationError(
                f"{self.path}: the file is not a journal and stays as it is: give another file as the journal"
            )
        self._end = place

    def line_at(self, place: int) -> bytes:
        """Return the line at a place that `lines` gave."""
        found, size = b"", 1 << 12
        while b"\n" not in found:
            found = os.pread(self._descriptor, size, place)
            size *= 4
        return found[: found.index(b"\n")]

    def append(self, line: bytes) -> None:
        """Write a line, which is then safe from the end of this process; after `close`, do nothing.

        Raises:
            OSError: It cannot be written, as on a full disk; the next line takes its place.
        """
        with self._lock:
            if self._is_closed:  # a thread that was left behind ends
                return
            if self._end is not None:
                os.ftruncate(self._descriptor, self._end)  # without the line that was cut short
                self._end = None
            rest = line + b"\n"
            try:
                while rest:  # on a full disk, the second write says so
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                written = len(line) + 1 - len(rest)
                self._end = os.fstat(self._descriptor).st_size - written  # another line must not go on from half a one
                raise

    def close(self) -> None:
        """Give the file free for others."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                os.close(self._descriptor)

    def _hold(self) -> None:
        if sys.platform == "win32":
            return
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise ConfigurationError(
                    f"the journal {str(self.path)!r} is in use by another evaluation: wait for it, or give another file"
                ) from error
