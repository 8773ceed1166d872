"""The contract of the HTTP recorder; every session imports it, so it imports next to nothing. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest


class HTTPRecorder(ABC):
    """Stands before the HTTP requests of a test to LMs, as a `Recorder` does before the calls of our LMs."""

    @abstractmethod
    def replay_http(self, request: HTTPRequest) -> HTTPReply | None:
        """Return the recorded reply, or `None` if the request has to be sent.

        Raises:
            CassetteMiss: The request is not recorded, and this session only replays.
        """

    @abstractmethod
    def record_http(self, request: HTTPRequest, reply: HTTPReply) -> None:
        """Record the reply that the server has just sent."""
