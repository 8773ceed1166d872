"""A test's cassette in the workers of an executor: replies travel to them, and notes of the calls come back.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from dspex_core import ConfigurationError
from pytest_dspex.cassettes.lanes import Lanes
from pytest_dspex.cassettes.masking import Mask
from pytest_dspex.cassettes.notes import HTTPNote, Note, Notes
from pytest_dspex.cassettes.patching import install
from pytest_dspex.cassettes.session_recorder import SessionRecorder
from pytest_dspex.cassettes.store import CassetteStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dspex_core import LMError, LMRequest, LMResponse
    from pytest_dspex.cassettes.entry import Entry
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest
    from pytest_dspex.cassettes.repeats import Taken


@dataclass(frozen=True)
class CassetteInWorkers:
    """What a worker needs to answer as the cassette of one case does.

    Args:
        make: Makes the recorder; `CassetteRecorder`.
        path: The cassette, for messages: a worker neither reads nor writes it.
        case: The case.
        record: As for a `CassetteRecorder`.
        entries: The entries of the case.
        taken: Which replies of equal requests were taken before.
        secrets: The credentials to hide.
        redact: As for a `Mask`.
    """

    make: Callable[..., SessionRecorder]
    path: Path
    case: str
    record: Literal["none", "new", "all"]
    entries: tuple[Entry, ...]
    taken: Taken
    secrets: frozenset[str] = field(repr=False)
    redact: Callable[[str], str] | None

    def begin(self) -> NotingRecorder:
        """Return the recorder of one piece of work; from now on, requests of other libraries pass recorders, too."""
        install(())
        store, mask = self._shared
        recorder = self.make(
            store, case=self.case, record=self.record, process=os.getpid(), lanes=Lanes(), mask=mask, taken=self.taken
        )
        return NotingRecorder(recorder)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_shared"}

    @cached_property
    def _shared(self) -> tuple[CassetteStore, Mask]:
        mask = Mask(self.redact)
        mask.add(self.secrets)
        return CassetteStore(self.path, entries=self.entries), mask


@dataclass(frozen=True)
class LiveInWorkers:
    """Stands in a worker for the recorder of a live session."""

    def begin(self) -> NotingRecorder:
        """Return a recorder that only notes the calls."""
        return NotingRecorder(None)


class NotingRecorder(SessionRecorder):
    """Notes the calls of one piece of work, for the recorder of the session."""

    def __init__(self, recorder: SessionRecorder | None) -> None:
        self._recorder = recorder
        self._notes: list[Note | HTTPNote] = []
        self._begun: dict[int, tuple[float, LMRequest | None]] = {}  # by the id of the request object

    def notes(self) -> Notes:
        """Return the calls in their order."""
        return tuple(self._notes)

    def for_worker(self) -> NoReturn:
        """Raise: work in a worker is not sent on to others."""
        raise ConfigurationError("work that an executor's worker does cannot use an executor itself")

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response, or `None` if the call has to go to the LM."""
        try:
            found = None if self._recorder is None else self._recorder.replay(model, request)
        except BaseException:  # a recorded refusal, or a miss
            self._notes.append(Note(model, request))
            raise
        if found is not None:
            self._notes.append(Note(model, request))
        else:
            self._begun[id(request)] = time.perf_counter(), request
        return found

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Note a response of the LM."""
        timed = replace(response, latency=round(time.perf_counter() - self._begun.pop(id(request), (0.0, None))[0], 3))
        self._notes.append(Note(model, request, timed))
        if self._recorder is not None:
            self._recorder.record(model, request, response)

    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Note a call that failed."""
        self._notes.append(Note(model, request, error=error))
        if self._recorder is not None:
            self._recorder.fail(model, request, error)

    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return the recorded reply, or `None` if the request has to be sent."""
        try:
            found = None if self._recorder is None else self._recorder.replay_http(request)
        except BaseException:  # a miss
            self._notes.append(HTTPNote(request))
            raise
        if found is not None:
            self._notes.append(HTTPNote(request))
        return found

    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Note the reply of a server."""
        self._notes.append(HTTPNote(request, reply))
        if self._recorder is not None:
            self._recorder.record_http(request, reply)
