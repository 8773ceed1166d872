"""Calls that were refused in processes that tests have started, or past a test's cassette. PYTEST_DONT_REWRITE

Such a process may swallow the refusal. It leaves a note of it (`dspex_core/lm/refused`), and the phase of the test that
runs then fails. Looking for notes costs each phase one call of the system.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path

import pytest


class RefusedCalls(pytest.fail.Exception):  # type: ignore[name-defined,misc]  # its one public name is no type name
    """Calls that a test, or a process that it started, made where no cassette stood before them."""

    __module__ = "pytest_dspex"  # which pytest shows


class Refusals:
    """The refused calls of one session's process and of those that it starts; `folder` is where they are noted."""

    def __init__(self) -> None:
        self.folder = str(Path(tempfile.gettempdir()) / f"dspex-refusals-{secrets.token_hex(16)}")

    def take_first(self) -> BaseException | None:
        """Return a failure for the refusals since the last time; `None` without any."""
        texts = self.take()
        return RefusedCalls("\n".join(dict.fromkeys(texts)), pytrace=False) if texts else None

    def take(self) -> list[str]:
        """Return the messages of the refusals since the last time."""
        if not os.path.exists(self.folder):  # noqa: PTH110  half the time of a `Path`, at each phase of each test
            return []
        from dspex_core.plugin_api import take_notes  # only where there are some

        return take_notes(Path(self.folder))

    def take_last(self) -> list[str]:
        """Return those that came after the last test, and remove the folder."""
        texts = self.take()
        shutil.rmtree(self.folder, ignore_errors=True)
        return texts
