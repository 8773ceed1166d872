"""Opening the file of a dataset: compressed or not, in UTF-8, with one error for each thing that is wrong.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import gzip
import io
import zlib
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from dspex_core.errors import DatasetError
from dspex_core.storage.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_MAGIC = 16
_OTHER_KINDS = {  # by their first bytes; what a file is though its name says otherwise
    b"\xff\xfe\x00\x00": "is in UTF-32; save it as UTF-8",
    b"\x00\x00\xfe\xff": "is in UTF-32; save it as UTF-8",
    b"\xff\xfe": "is in UTF-16; save it as UTF-8",
    b"\xfe\xff": "is in UTF-16; save it as UTF-8",
    b"\x1f\x8b": "is compressed with gzip: add .gz to its name",
    b"BZh": "is compressed with bzip2, which is not read: compress it with gzip",
    b"\xfd7zXZ": "is compressed with xz, which is not read: compress it with gzip",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd, which is not read: compress it with gzip",
    b"PK\x03\x04": "is a zip archive or a spreadsheet: unpack it, or export the sheet as CSV",
    b"PAR1": "is a Parquet file: name it .parquet",
    b"SQLite format 3": "is an SQLite database: read its rows and pass them as a list",
}


def is_compressed(path: str) -> bool:
    """Whether a name says that the file is compressed with gzip."""
    return path.lower().endswith(".gz")


@contextmanager
def open_bytes(path: str) -> Iterator[IO[bytes]]:
    """Open a file, which is decompressed while it is read.

    Raises:
        DatasetError: The file cannot be read; also while it is read, for errors of that.
    """
    try:
        file = open_regular(path)
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror}", path=path) from error
    except ValueError as error:  # a zero byte in the name
        raise DatasetError(f"the path {path!r} cannot be used: {error}") from error
    try:
        with file, _decompressed(file, path) as content:
            yield content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"is not a whole gzip file: {error}", path=path) from error
    except OSError as error:
        raise DatasetError(f"cannot be read: {error.strerror or error}", path=path) from error


def _decompressed(file: IO[bytes], path: str) -> AbstractContextManager[IO[bytes]]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if is_compressed(path) else nullcontext(file)


@contextmanager
def open_text(path: str) -> Iterator[TextIO]:
    """Open a text in UTF-8, whose lines end as they do in the file.

    Raises:
        DatasetError: The file cannot be read or is not in UTF-8; also while it is read.
    """
    with open_bytes(path) as file:
        _refuse_other_kinds(file, path)
        try:
            yield io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error


def read_text(path: str) -> str:
    """Return a whole text.

    Raises:
        DatasetError: As for `open_text`.
    """
    with open_text(path) as file:
        return file.read()


def _refuse_other_kinds(file: Any, path: str) -> None:
    start: bytes = file.peek(_MOST_MAGIC)[:_MOST_MAGIC]
    for magic, fault in _OTHER_KINDS.items():
        if start.startswith(magic):
            raise DatasetError(fault, path=path)
    if b"\0" in start[:4]:
        raise DatasetError("is in UTF-16 or no text at all (it has zero bytes); save it as UTF-8", path=path)


def _not_utf8(path: str) -> DatasetError:
    """Return the error with the first line that is at fault; a decoder that reads in blocks does not know it."""
    with open_bytes(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                fault = f"is not UTF-8 (byte 0x{line[error.start]:02x}); save it as UTF-8"
                return DatasetError(fault, path=path, line=number)
    return DatasetError("is not UTF-8; save it as UTF-8", path=path)
