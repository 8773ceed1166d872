"""Shards: the files beside a cassette to which each process writes a response as it arrives. PYTEST_DONT_REWRITE

Each process appends to a shard of its own, `<cassette>.<run>-<process>.shard`, and holds a lock on it. So a killed
process loses nothing. The shards of a run are known by their names. A shard without a lock is a leftover of a killed
run: the next recording merges it. An incomplete last line is not read.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from pytest_dspex.cassettes.locks import hold, is_abandoned

if TYPE_CHECKING:
    from pathlib import Path

_SYNC_EVERY = 1.0  # seconds of recording that a power failure may lose


class Journal:
    """Appends to the shard of this process; a forked child gets one of its own.

    `error` is the error of a failed write; from then on nothing is appended.
    """

    def __init__(self, cassette: Path, *, run: str) -> None:
        self.run = run
        self.error: OSError | None = None
        self._cassette = cassette
        self._process = os.getpid()
        self._descriptor: int | None = None
        self._synced = time.monotonic()

    @property
    def path(self) -> Path:
        """The path of this process's shard."""
        return self._cassette.with_name(f"{self._cassette.name}.{self.run}-{os.getpid()}.shard")

    def append(self, line: str) -> None:
        """Write a line at once, so that it is kept even if this process is killed."""
        if os.getpid() != self._process:
            self._process, self._descriptor, self.error = os.getpid(), None, None
        if self.error is not None:
            return
        try:
            self._write(f"{line}\n".encode())
        except OSError as error:
            self.error = error

    def close(self) -> None:
        """Flush the shard to the disk and close it.

        Raises:
            OSError: A line could not be written, or the shard has been removed.
        """
        if self._descriptor is not None and self._process == os.getpid():
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
            if not self.path.exists():
                self.error = FileNotFoundError(errno.ENOENT, "another program has removed the shard", str(self.path))
        if self.error is not None:
            raise self.error

    def remove(self) -> None:
        """Remove the shard; call it when all of its entries are in the cassette."""
        if self._descriptor is not None and self._process == os.getpid():
            os.close(self._descriptor)
            self._descriptor = None
        self.path.unlink(missing_ok=True)
        self.error = None

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            self._cassette.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            hold(self._descriptor)
        written = os.write(self._descriptor, data)
        if written < len(data):  # the disk is full: writing the rest raises the error
            os.write(self._descriptor, data[written:])
        if time.monotonic() - self._synced > _SYNC_EVERY:
            os.fsync(self._descriptor)
            self._synced = time.monotonic()


def shards_of(cassette: Path) -> list[Path]:
    """Return the shards beside a cassette."""
    if not cassette.parent.is_dir():
        return []
    start = f"{cassette.name}."
    return sorted(path for path in cassette.parent.iterdir() if path.name.startswith(start) and path.suffix == ".shard")


def is_of_run(shard: Path, run: str) -> bool:
    """Return whether a shard belongs to this run."""
    return shard.name.rsplit(".", 2)[1].startswith(f"{run}-")


def cassette_of(shard: Path) -> Path:
    """Return the path of a shard's cassette."""
    return shard.with_name(shard.name.rsplit(".", 2)[0])


def is_left_behind(shard: Path, run: str) -> bool:
    """Return whether a shard is a leftover of another run that has ended."""
    return not is_of_run(shard, run) and is_abandoned(shard)
