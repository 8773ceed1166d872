"""Refused calls, and the notes of them for the session that refuses. PYTEST_DONT_REWRITE

The program may swallow the error, and a process that a test has started may end as if nothing had been. So each refusal
leaves a note in the folder that the session names in the environment, where the running test finds it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
from pathlib import Path

from dspex_core.config import REFUSALS_VARIABLE
from dspex_core.errors import LiveCallRefusedError
from dspex_core.storage.files import read_file, write_atomically


def refusal_of(model: str) -> LiveCallRefusedError:
    """Return the error of a refused call, of which it leaves a note."""
    error = LiveCallRefusedError(model)
    leave_note(f"{error}.")
    return error


def leave_note(text: str) -> None:
    """Leave a note for the session that this process or one of its parents runs; outside of one, do nothing."""
    folder = os.environ.get(REFUSALS_VARIABLE)
    if not folder:
        return
    program = Path(sys.argv[0]).name if sys.argv else ""
    note = {"process": os.getpid(), "program": program, "text": text}
    with contextlib.suppress(OSError):  # the call is refused all the same
        Path(folder).mkdir(mode=0o700, exist_ok=True)
        write_atomically(Path(folder) / f"{secrets.token_hex(8)}.json", json.dumps(note))


def take_notes(folder: Path) -> list[str]:
    """Return the notes that were left since the last time, each with the process if it is another one."""
    texts = []
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            note = json.loads(read_file(path))
            where = "" if note["process"] == os.getpid() else f"in the process {note['process']} ({note['program']}): "
            texts.append(f"{where}{note['text']}")
        path.unlink(missing_ok=True)
    return texts
