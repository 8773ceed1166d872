"""Spans of requests, inside the trace that their headers name. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from dspex_core.config import current
from dspex_core.errors.foreign_code import foreign_code
from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def request_span(headers: Mapping[str, str], attributes: dict[str, Any]) -> AbstractContextManager[dict[str, Any]]:
    """Emit the start and the end of a request to the listeners; its parent is the span in the headers.

    Args:
        headers: Those of the request, with `traceparent`.
        attributes: What the listeners learn.
    """
    return _in_trace(headers, attributes) if current().listeners or current().callbacks else nullcontext(attributes)


@contextmanager
def _in_trace(headers: Mapping[str, str], attributes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    token = None
    if "traceparent" in headers:
        try:
            with foreign_code():
                from opentelemetry import context, propagate  # optional

                token = context.attach(propagate.extract(headers))
        except ImportError:
            pass
    try:
        with span("request", attributes) as learned:
            yield learned
    finally:
        if token is not None:
            context.detach(token)
