"""Calls that were made elsewhere, for the recorder that has to learn of them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dspex_core import LMError, LMRequest, LMResponse
    from pytest_dspex.cassettes.exchange import HTTPReply, HTTPRequest


@dataclass(frozen=True, slots=True)
class Note:
    """An LM call; without a response and an error, the recorder had to answer it."""

    model: str
    request: LMRequest
    response: LMResponse | None = None
    error: LMError | None = None


@dataclass(frozen=True, slots=True)
class HTTPNote:
    """A request to an LM by another library; without a reply, the recorder had to answer it."""

    request: HTTPRequest
    reply: HTTPReply | None = None


Notes = tuple[Note | HTTPNote, ...]
