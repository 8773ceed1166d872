"""Lets the spans of a worker be parts of the request's trace. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def carried() -> dict[str, str]:
    """Return the current span in the form of headers; nothing where the application has not loaded OpenTelemetry."""
    if "opentelemetry.trace" not in sys.modules:
        return {}
    with foreign_code():
        from opentelemetry import propagate  # optional

        carrier: dict[str, str] = {}
        propagate.inject(carrier)
    return carrier


@contextmanager
def continued(carrier: Mapping[str, str]) -> Iterator[None]:
    """Let the spans in a block be children of the carried one."""
    if not carrier:
        yield
        return
    with foreign_code():
        from opentelemetry import context, propagate  # the service has it, and this is the same environment

        token = context.attach(propagate.extract(carrier))
    try:
        yield
    finally:
        context.detach(token)
