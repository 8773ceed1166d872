"""Programs that workers of a service run in tests: they do what their input says."""

import asyncio
import ctypes
import os
import signal
import sys
import time
from pathlib import Path

import dspex_core as dspy
from dspex_core.errors import ConfigurationError


class Obedient(dspy.Module):
    """Do a task, and say which process has done it."""

    def __init__(self):
        super().__init__()
        self.kept = []

    async def aforward(self, task: str, path: str = "") -> dict[str, object]:
        if path:
            _note(path, f"{task}\n")
        if task in _TASKS:
            _TASKS[task]()
        elif task == "thread":
            await dspy.asyncify(time.sleep)(600)
        elif task == "hold":
            while not Path(f"{path}.go").exists():  # noqa: ASYNC240  the event loop stands still meanwhile
                time.sleep(0.02)  # noqa: ASYNC251  as above
        elif task == "eat":
            self.kept.append(b"x" * 300_000_000)
            await asyncio.sleep(600)
        elif task == "wait":
            await _go_ahead(path)
        return {"pid": os.getpid()}


def _note(path, text):
    with Path(path).open("a") as log:
        log.write(text)


async def _go_ahead(path):
    """Wait for a file beside the log whose name ends with `.go`."""
    go = Path(f"{path}.go")
    try:
        while not go.exists():  # noqa: ASYNC110, ASYNC240  another process makes it
            await asyncio.sleep(0.02)
    except asyncio.CancelledError:
        _note(f"{path}.cancelled", "")
        raise


def _raise():
    raise ValueError("sk-abcdefgh12345678")


_TASKS = {
    "exit": lambda: os._exit(7),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "sys.exit": lambda: sys.exit(3),
    "raise": _raise,
    "block": lambda: time.sleep(600),
    "print": lambda: sys.stdout.write("printed by the program\n"),
}


def obedient():
    """Return the program that does what it is asked to."""
    return Obedient()


def crashing():
    """End the process, with a credential in its last words."""
    sys.stderr.write("loading with the key sk-abcdefgh12345678\n")
    sys.stderr.flush()
    os._exit(9)


def refusing():
    """Fail as a program that cannot be made does."""
    raise ConfigurationError("there is no index with the key sk-abcdefgh12345678")


def storyteller():
    """Return a program that answers with many words."""
    program = dspy.Predict("topic -> story")
    words = " ".join(f"word{number}" for number in range(400))
    program.set_lm(dspy.ScriptedLM(lambda _: {"story": words}))
    return program


def quoting():
    """Return a program that says whether an artifact has given it the instructions `Be old.`."""
    program = dspy.Predict("topic -> story")
    program.set_lm(dspy.ScriptedLM(lambda request: {"story": "old" if "Be old." in str(request.messages) else "new"}))
    return program


class Indexed(Obedient):
    """As `Obedient`, with a folder of its own to load."""

    def load(self, path, **_):
        root = Path(path)
        self.words = f"{(root / 'words.txt').read_text()}, {len((root / 'parts' / '0.bin').read_bytes())} byte"


def indexed():
    """Return the program that loads a folder."""
    return Indexed()
