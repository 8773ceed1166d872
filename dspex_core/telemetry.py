"""Events of what happens: who listens is told, and nothing is sent anywhere. PYTEST_DONT_REWRITE

    with span("predict", {"signature": "text -> label"}) as attributes:
        ...
        attributes["tokens"] = 12

tells the listeners in `settings.listeners` of `dspex.predict.start`, then of
`dspex.predict.stop` or `dspex.predict.exception`. Without listeners it costs nothing.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from dspex_core.config import current

_log = logging.getLogger("dspex")
_ids = itertools.count(1)
_parent: ContextVar[int | None] = ContextVar("dspex_span", default=None)


@dataclass(frozen=True, slots=True)
class Event:
    """One moment of a span.

    Args:
        name: `dspex.<kind>.start`, `.stop` or `.exception`.
        span_id: The same for the events of one span; unique in the process.
        parent_id: The span that this one runs inside of.
        time: Seconds since the epoch.
        duration: Seconds since the start; `None` at the start.
        attributes: What is known of it by then (tokens, cost, result, error, ...).
    """

    name: str
    span_id: int
    parent_id: int | None
    time: float
    duration: float | None
    attributes: dict[str, Any]


Listener = Callable[[Event], None]


def span(kind: str, attributes: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]:
    """Tell the listeners of the start and the end of a block; the block may add attributes."""
    listeners = current().listeners
    return _told(listeners, kind, attributes) if listeners else nullcontext(attributes)


@contextmanager
def _told(listeners: tuple[Listener, ...], kind: str, attributes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    span_id, parent_id, started = next(_ids), _parent.get(), time.perf_counter()

    def tell(moment: str) -> None:
        duration = None if moment == "start" else time.perf_counter() - started
        event = Event(f"dspex.{kind}.{moment}", span_id, parent_id, time.time(), duration, dict(attributes))
        for listener in listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001  what a listener does wrong must not harm the program
                _log.exception("a telemetry listener failed on %s", event.name)

    token = _parent.set(span_id)
    tell("start")
    try:
        yield attributes
    except BaseException as error:
        attributes["error"] = error
        tell("exception")
        raise
    else:
        tell("stop")
    finally:
        _parent.reset(token)
