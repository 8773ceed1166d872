"""Files from the web into the current folder. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from dspex_core.storage.files import write_atomically
from dspex_core.storage.web import fetch


def download(url: str) -> None:
    """Download a file into the current folder, under its name in the URL; a file that has this name is replaced.

    Raises:
        ValueError: The URL is not http or https, names no file, or the server does not have it.
        OSError: No reply arrived, or the file cannot be written.
    """
    name = unquote(PurePosixPath(urlsplit(url).path).name)
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"{url!r} names no file that it could be saved as")
    write_atomically(Path(name), fetch(url).data)
