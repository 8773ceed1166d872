"""An artifact as it was when its service was made, for workers that start later. PYTEST_DONT_REWRITE

The content is kept in memory, and a worker receives it: a file that is changed or damaged meanwhile, and a copy in a
folder that something cleans up, would let workers of one service run different programs, or none.
"""

from __future__ import annotations

import base64
import warnings
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ArtifactError, MissingArtifactError, StaleArtifactWarning
from dspex_core.programs.saving.recipe import recipe_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dspex_core.serve.workers.setup import WorkerSetup

LARGEST = 128 * 2**20  # bytes: with the third that base64 adds, they fit into a message


def with_content(setup: WorkerSetup) -> WorkerSetup:
    """Return a setup that holds the content of the file or folder that it names.

    Raises:
        ArtifactError: It cannot be read, or is too large.
    """
    if setup.program is None or setup.content is not None:
        return setup
    root = Path(setup.program) if setup.factory is not None else recipe_file(setup.program)
    try:
        found = {str(file.relative_to(root)): _encoded(file) for file in _files(root)}
    except (OSError, ValueError) as error:  # ValueError: a path that cannot be, with a null character
        kind = MissingArtifactError if isinstance(error, FileNotFoundError) else ArtifactError
        reason = error.strerror if isinstance(error, OSError) else error
        raise kind(f"cannot be read: {reason}", path=str(root)) from error
    if sum(map(len, found.values())) > LARGEST * 4 // 3:
        raise ArtifactError(f"is too large for workers, which receive up to {LARGEST} bytes", path=str(root))
    return replace(setup, program=str(setup.program), content=found)


@contextmanager
def content_of(setup: WorkerSetup) -> Iterator[str | None]:
    """Provide the path of a copy of what a setup holds, for the time of a block; what it names if it holds nothing.

    Raises:
        ArtifactError: From the block: it names the original, as a `StaleArtifactWarning` does.
    """
    if setup.program is None or setup.content is None:
        yield None if setup.program is None else str(setup.program)
        return
    root = Path(setup.program) if setup.factory is not None else recipe_file(setup.program)
    with TemporaryDirectory(prefix="dspex-") as folder:
        copy = Path(folder) / (root.name or "artifact")
        for name, encoded in setup.content.items():
            file = copy / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(base64.b64decode(encoded))
        try:
            with warnings.catch_warnings():
                warnings.showwarning = partial(_show, warnings.showwarning, str(copy), str(root))
                yield str(copy)
        except ArtifactError as error:
            raise type(error)(error.reason, path=str(root), problems=error.problems) from error


def _show(show: Callable[..., None], copy: str, root: str, message: Warning | str, *rest: Any, **named: Any) -> None:
    if isinstance(message, StaleArtifactWarning):
        message = StaleArtifactWarning(str(message).replace(copy, root, 1))
    show(message, *rest, **named)


def _files(root: Path) -> list[Path]:
    return [file for file in sorted(root.rglob("*")) if file.is_file()] if root.is_dir() else [root]


def _encoded(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode("ascii")
