"""The user's own code, which workers must have as it is here. PYTEST_DONT_REWRITE

A worker that lives long has imported an earlier version of a module, and another `conftest`. So code of modules that
are not installed travels by value. Where that is impossible, as a module holds a client or a lock, the worker imports
it, and checks that its file is the caller's.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING

from dspex_core.errors import WorkerError
from dspex_core.plain.used_code import is_of_project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import CodeType, ModuleType


def own_modules() -> Sequence[ModuleType]:
    """Return the imported modules of the user's project: those that are neither Python's nor installed."""
    found = []
    for name, module in list(sys.modules.items()):
        file = _file_of(module)
        if file is not None and name == getattr(module, "__name__", None) and is_of_project(file):
            found.append(module)
    return found


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file of a module, and a digest of its content; `None` if it is gone."""

    path: str
    digest: str | None


def sources_of(modules: Sequence[ModuleType]) -> dict[str, SourceFile]:
    """Return the file of each module, by name."""
    files = {module.__name__: _file_of(module) for module in modules}
    return {name: SourceFile(file, _digest(file)) for name, file in files.items() if file is not None}


class CallersModules(MetaPathFinder):
    """Imports the callers' own modules in a worker: from their files, and anew when these have changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sources: dict[str, SourceFile] = {}

    def renew(self, sources: Mapping[str, SourceFile]) -> None:
        """Take over the callers' files; modules that were imported from others are forgotten."""
        if not sources:
            return
        with self._lock:
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)
            for name, source in sources.items():
                if self._sources.get(name) != source:
                    sys.modules.pop(name, None)
            self._sources.update(sources)

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Find a module in its caller's file, if that is here, too."""
        source = self._sources.get(name)
        if source is None or _digest(source.path) != source.digest:
            return None
        return spec_from_loader(name, _Reader(name, source.path), is_package=Path(source.path).stem == "__init__")

    def check(self, sources: Mapping[str, SourceFile]) -> None:
        """Compare the modules that were imported with the caller's.

        Raises:
            WorkerError: The content of one differs.
        """
        for name, source in sources.items():
            file = _file_of(sys.modules.get(name))
            if file is not None and (source.digest is None or _digest(file) != source.digest):
                sys.modules.pop(name, None)
                raise WorkerError(f"its module {name!r} is not the caller's, which is {source.path}; it is from {file}")


class _Reader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        """Compile the file: of two edits in one second, bytecode on the disk may be that of the first."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _file_of(module: ModuleType | None) -> str | None:
    file = None if module is None else vars(module).get("__file__")
    return file if isinstance(file, str) and file.endswith(".py") else None


def _digest(file: str) -> str | None:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return None
