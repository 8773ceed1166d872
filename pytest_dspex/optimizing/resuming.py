"""The journal of LM calls that lets an interrupted `--dspex-optimize` go on where it was. PYTEST_DONT_REWRITE

In a live session no cassette keeps the answers. So each is appended to a file in pytest's cache folder (`.dspex` in the
root directory, if there is no such folder), and the next run takes its answers from there. A run that comes to a
decision removes the file. It holds answers and hashes of requests, no requests.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dspex_core import LMResponse
from dspex_core.plugin_api import short_digest
from pytest_dspex.cassettes.in_workers import NotingRecorder
from pytest_dspex.cassettes.session_recorder import SessionRecorder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pytest

    from dspex_core import LMError, LMRequest
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest
    from pytest_dspex.programs import ProgramSpec


class Answers(SessionRecorder):
    """A recorder with answers to the next requests; the n-th of equal requests gets the n-th answer to it."""

    def __init__(self, answers: Mapping[str, Iterable[LMResponse]]) -> None:
        self._lock = threading.Lock()
        self._answers = {key: deque(each) for key, each in answers.items()}

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the next answer to a request, or `None` to let the LM answer."""
        with self._lock:
            answers = self._answers.get(request.key(model, ""))
            return answers.popleft() if answers else None

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Do nothing: these are answers of an earlier run."""

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Do nothing: the call is made again."""

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return `None`: only programs of our own are compiled."""
        return None

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Do nothing, as above."""

    def for_worker(self) -> AnswersInWorkers:
        """Return the answers that are left."""
        with self._lock:
            return AnswersInWorkers({key: tuple(each) for key, each in self._answers.items() if each})


@dataclass(frozen=True)
class AnswersInWorkers:
    """The answers, for the workers of an executor."""

    answers: Mapping[str, tuple[LMResponse, ...]]

    def begin(self) -> NotingRecorder:
        """Return the recorder of one piece of work."""
        return NotingRecorder(Answers(self.answers))


class CallJournal(Answers):
    """The recorder of a live run: it replays what an interrupted run has paid for, and keeps what this one pays for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        answers: dict[str, list[LMResponse]] = defaultdict(list)
        for key, response in _read(path):
            answers[key].append(response)
        super().__init__(answers)
        self.found = sum(map(len, answers.values()))  # answers of an interrupted run
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            with path.open("a", encoding="utf-8") as file:  # a killed process has not ended its last line
                file.write("\n")

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Append an answer at once, so that it outlives this process."""
        line = json.dumps({"key": request.key(model, ""), "response": response.to_json()})
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def remove(self) -> None:
        """Remove the file: the run has come to its decision."""
        self.path.unlink(missing_ok=True)


def journal_of(config: pytest.Config, spec: ProgramSpec) -> CallJournal:
    """Return the journal of a program; its file is made with the first answer."""
    name = re.sub(r"[^\w.-]+", "-", spec.name)
    return CallJournal(_folder(config) / f"optimize-{name}-{short_digest(str(spec.folder))}.jsonl")


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


def _read(path: Path) -> list[tuple[str, LMResponse]]:
    """Return the answers in a file; a line that a killed process has not ended is left out."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            data = json.loads(line)
            found.append((data["key"], LMResponse.from_json(data["response"], cached=True)))
    return found
