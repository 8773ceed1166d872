"""The contract of a session's recorders. Every session imports it, so it imports little. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from dspex_core import LMError
from pytest_dspex.cassettes.http_recorder import HTTPRecorder

if TYPE_CHECKING:
    from dspex_core import LMRequest, LMResponse
    from dspex_core.plugin_api import WorkerRecorder
    from pytest_dspex.cassettes.notes import HTTPNote, Note, Notes


class SessionRecorder(HTTPRecorder):
    """Stands before all calls of a test or fixture to LMs, also before those in the workers of an executor."""

    @abstractmethod
    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Return the recorded response, or `None` if the call has to go to the LM."""

    @abstractmethod
    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Record the response that the LM has just given."""

    @abstractmethod
    def fail(self, model: str, request: LMRequest, error: LMError) -> None:
        """Take the error with which a call has failed."""

    @abstractmethod
    def for_worker(self) -> WorkerRecorder:
        """Return what stands for this recorder in the workers of an executor."""

    def take_in(self, notes: Notes) -> None:
        """Learn of calls that were made in another process, as if they had been made here.

        Raises:
            CassetteMiss: One of them is not recorded, and this session only replays.
        """
        for note in notes:
            try:
                self._take_in(note)
            except LMError:  # a recorded refusal, which the program has had
                continue

    def _take_in(self, note: Note | HTTPNote) -> None:
        from pytest_dspex.cassettes.notes import HTTPNote  # only sessions with an executor have notes

        if isinstance(note, HTTPNote):
            if self.replay_http(note.request) is None and note.reply is not None:
                self.record_http(note.request, note.reply)
        elif self.replay(note.model, note.request) is None:
            if note.response is not None:
                self.record(note.model, note.request, note.response)
            elif note.error is not None:
                self.fail(note.model, note.request, note.error)
