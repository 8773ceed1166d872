"""Events for listeners in the process; nothing is sent anywhere. PYTEST_DONT_REWRITE

    with span("rerank", {"query": query}) as attributes:
        ...
        attributes["result"] = found

emits `dspex.rerank.start`, then `dspex.rerank.stop` or `dspex.rerank.exception`. Listeners are `settings.listeners`,
`settings.callbacks` and the component's own callbacks. Without listeners it costs nothing.
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
from dspex_core.config.contracts import Event, Listener, Moment

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

T = TypeVar("T")

_log = logging.getLogger("dspex")
_ids = itertools.count(1)

ACTIVE_CALL_ID: ContextVar[str | None] = ContextVar("dspex_span", default=None)
"""The `span_id` of the innermost span around the current code; in a listener, of the span around its event's."""


def span(kind: str, attributes: dict[str, Any], own: Sequence[Listener] = ()) -> AbstractContextManager[dict[str, Any]]:
    """Emit events at the start and the end of a block; the block may add attributes.

    Args:
        kind: The middle part of the events' names.
        attributes: The attributes at the start.
        own: The callbacks of the component that does the work.
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
    """A block whose start and end are emitted to `listeners`; `span` takes those in the settings.

    Args:
        kind: The middle part of the events' names.
        attributes: The attributes at the start; the block may add more.
        listeners: Receive the events.
    """

    __slots__ = ("_attributes", "_id", "_kind", "_listeners", "_parent_id", "_started", "_token")

    def __init__(self, kind: str, attributes: dict[str, Any], listeners: tuple[Listener, ...]) -> None:
        self._kind = kind
        self._attributes = attributes
        self._listeners = listeners
        self._id = f"{os.getpid()}-{next(_ids)}"  # a forked process continues the parent's count
        self._parent_id = ACTIVE_CALL_ID.get()

    def __enter__(self) -> dict[str, Any]:
        self._started = time.perf_counter()
        self._emit("start", self._attributes.copy())  # the block adds to them later
        self._token = ACTIVE_CALL_ID.set(self._id)
        return self._attributes

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        duration = time.perf_counter() - self._started
        ACTIVE_CALL_ID.reset(self._token)
        if error is None:
            self._emit("stop", self._attributes, duration)
        else:
            self._emit("exception", {**self._attributes, "error": error}, duration)

    def _emit(self, moment: Moment, known: dict[str, Any], duration: float | None = None) -> None:
        event = Event(self._kind, moment, self._id, self._parent_id, time.time(), duration, known)
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001  a listener's error must not harm the program
                _log.exception("the listener %r failed on %s", listener, event.name)
