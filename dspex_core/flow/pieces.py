"""Which of several flows that run together the present one is. PYTEST_DONT_REWRITE

Apart from the drivers, as the pytest plugin needs no more of flows in sessions that call no LM.
"""

from __future__ import annotations

from contextvars import ContextVar

# The place, from 0, within those around it; empty outside of any.
PIECE: ContextVar[tuple[int, ...]] = ContextVar("dspex_piece", default=())
WORK = "dspex-work"  # the name of the threads that work on pieces
