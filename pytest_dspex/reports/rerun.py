"""The command that runs some cases again: it can be pasted where the session was started. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_dspex.options import OPTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

_INLINE = 20  # node ids on a command line; more go into a file
_FOLDER = "dspex"  # in pytest's cache


@dataclass(frozen=True, slots=True)
class Reruns:
    """Makes commands.

    Args:
        root: The directory to which node ids are relative.
        folder: The directory where the session was started.
        options: The options that a command needs to find the same tests.
        cache: A directory for files with many node ids; `None` without pytest's cache.
    """

    root: Path
    folder: Path
    options: tuple[str, ...] = ()
    cache: Path | None = None

    @classmethod
    def of(cls, config: pytest.Config) -> Reruns:
        """Read what commands need from a session's configuration."""
        return cls(config.rootpath, config.invocation_params.dir, tuple(_options(config)), _cache(config))

    def command(self, nodeids: Sequence[str]) -> str:
        """Return the command that runs exactly these node ids."""
        named = [self._from_folder(nodeid) for nodeid in nodeids]
        if len(named) > _INLINE and self.cache is not None:
            with contextlib.suppress(OSError):  # a long command serves as well
                named = [f"@{self._file(named)}"]
        return _quoted(["pytest", *self.options, *named])

    def _from_folder(self, nodeid: str) -> str:
        path, separator, rest = nodeid.partition("::")
        return f"{_relative(self.root / path, self.folder)}{separator}{rest}"

    def _file(self, named: Sequence[str]) -> str:
        from dspex_core.plugin_api import write_atomically  # only such a command needs it

        assert self.cache is not None
        text = "".join(f"{each}\n" for each in named)
        path = self.cache / f"cases-{hashlib.sha256(text.encode()).hexdigest()[:12]}.txt"
        write_atomically(path, text)
        return _relative(path, self.folder)


def _options(config: pytest.Config) -> list[str]:
    options = []
    if config.option.inifilename:
        options += ["-c", str(config.option.inifilename)]
    if config.option.rootdir:
        options.append(f"--rootdir={config.option.rootdir}")
    if config.option.importmode != "prepend":
        options.append(f"--import-mode={config.option.importmode}")
    for each in config.option.override_ini or ():
        options += ["-o", each]
    return [*options, *(["--dspex-live"] if config.stash[OPTIONS].live else [])]


def _cache(config: pytest.Config) -> Path | None:
    # Only a session that runs tests has the attribute; a merge of results has not.
    if not config.pluginmanager.hasplugin("cacheprovider") or getattr(config, "cache", None) is None:
        return None
    try:
        return config.cache.mkdir(_FOLDER)
    except OSError:  # a directory that cannot be written
        return None


def _relative(path: Path, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # on another drive
        return str(path)


def _quoted(words: Sequence[str]) -> str:
    if os.name == "nt":
        from subprocess import list2cmdline  # only to quote

        return list2cmdline(words)
    return shlex.join(words)
