"""An interrupted `--dspex-optimize` goes on where it was. PYTEST_DONT_REWRITE

In a live session no cassette keeps the answers. So each is appended to a file in pytest's cache folder (`.dspex` in the
root directory, if there is no such folder), and the next run takes its answers from there. A run that comes to a
decision removes the file. It holds answers and hashes of requests, no requests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dspex_core.plugin_api import CompileJournal, current, short_digest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from pytest_dspex.programs import ProgramSpec


def journal_of(config: pytest.Config, spec: ProgramSpec) -> CompileJournal:
    """Open the journal of a program. Its answers fit whatever asks the same, so it is of no particular compile."""
    name = re.sub(r"[^\w.-]+", "-", spec.name)
    path = _folder(config) / f"compile-{name}-{short_digest(str(spec.folder))}.jsonl"
    return CompileJournal(path, fingerprint={}, outer=current().recorder, counts=False)


def _folder(config: pytest.Config) -> Path:
    cache = getattr(config, "cache", None)  # pytest's plugin sets it, unless it is switched off
    if cache is not None:
        made: Path = cache.mkdir("dspex")
        return made
    folder = config.rootpath / ".dspex"
    if not folder.exists():
        folder.mkdir()
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    return folder
