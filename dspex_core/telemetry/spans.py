"""Events of what happens: who listens is told, and nothing is sent anywhere. PYTEST_DONT_REWRITE

    with span("rerank", {"query": query}) as attributes:
        ...
        attributes["result"] = found

tells the listeners of `dspex.rerank.start`, then of `dspex.rerank.stop` or
`dspex.rerank.exception`. Those who listen are `settings.listeners`, `settings.callbacks` and the
callbacks of the component itself. Without any it costs nothing.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core.config import current
from dspex_core.contracts import Event, Listener, Moment

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

T = TypeVar("T")

_log = logging.getLogger("dspex")
_ids = itertools.count(1)

ACTIVE_CALL_ID: ContextVar[str | None] = ContextVar("dspex_span", default=None)
"""The `span_id` of the innermost span around the code that asks; in a listener, of the one around its event's."""


def span(kind: str, attributes: dict[str, Any], own: Sequence[Listener] = ()) -> AbstractContextManager[dict[str, Any]]:
    """Tell of the start and the end of a block; the block may add attributes.

    Args:
        kind: The middle part of the events' names.
        attributes: What is known at the start.
        own: The callbacks of the component whose doing it is.
    """
    settings = current()
    listeners = (*settings.listeners, *settings.callbacks, *own)
    return Span(kind, attributes, listeners) if listeners else nullcontext(attributes)


def in_span(
    kind: str, attributes: dict[str, Any], own: Sequence[Listener], flow: Generator[Any, Any, T]
) -> Generator[Any, Any, T]:
    """Run a flow as a span whose `result` is the flow's."""
    with span(kind, attributes, own):
        attributes["result"] = result = yield from flow
    return result


class Span:
    """A block of whose start and end those who are given are told; `span` finds them in the settings.

    Args:
        kind: The middle part of the events' names.
        attributes: What is known at the start; the block may add to it.
        listeners: Who is told.
    """

    __slots__ = ("_attributes", "_id", "_kind", "_listeners", "_parent_id", "_started", "_token")

    def __init__(self, kind: str, attributes: dict[str, Any], listeners: tuple[Listener, ...]) -> None:
        self._kind = kind
        self._attributes = attributes
        self._listeners = listeners
        self._id = f"{os.getpid()}-{next(_ids)}"  # a forked process counts on from where it was forked
        self._parent_id = ACTIVE_CALL_ID.get()

    def __enter__(self) -> dict[str, Any]:
        self._started = time.perf_counter()
        self._tell("start", self._attributes.copy())  # the block adds to them later
        self._token = ACTIVE_CALL_ID.set(self._id)
        return self._attributes

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        duration = time.perf_counter() - self._started
        ACTIVE_CALL_ID.reset(self._token)
        if error is None:
            self._tell("stop", self._attributes, duration)
        else:
            self._tell("exception", {**self._attributes, "error": error}, duration)

    def _tell(self, moment: Moment, known: dict[str, Any], duration: float | None = None) -> None:
        event = Event(self._kind, moment, self._id, self._parent_id, time.time(), duration, known)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001  what a listener does wrong must not harm the program
                _log.exception("the listener %r failed on %s", listener, event.name)
