"""Atomic writes: readers and crashes never see a partial file. Reads of whole files. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import io


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: It cannot be read, or is not a file: a pipe or a device may have no end. So is a name with a NUL.
    """
    try:
        file = open_regular(path)
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    with file:
        return file.read()


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a file to read its bytes; opening a pipe that nobody writes to would wait for ever.

    Raises:
        OSError: It cannot be opened, or is a directory, a pipe or a device.
        ValueError: The name has a NUL.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        refuse_endless(descriptor, path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def refuse_endless(descriptor: int, path: str | os.PathLike[str]) -> None:
    """Raise OSError if an open file is a directory, a pipe or a device."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def write_atomically(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Replace a file's content as a whole, a text in UTF-8; its directory is made if it is not there.

    At any moment, a crash or a full disk included, the file holds the old content or the new one.
    A process that is killed may leave a `.dspex-*.tmp` file behind.

    Raises:
        OSError: The file cannot be written; the old one is still there. The error names it.
        UnicodeEncodeError: The text has lone surrogates; the old file is still there.
    """
    data = content.encode() if isinstance(content, str) else content
    target = Path(path).resolve()  # a link stays a link: what it points to is replaced
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".dspex-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, temporary)
        temporary.replace(target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            # a full disk has no name, and that of the temporary file says nothing
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    with contextlib.suppress(OSError):  # some systems cannot sync a directory; the file is whole without it
        _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
