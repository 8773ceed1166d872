"""Tracebacks of failures, shortened to the frames of the user's code. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import concurrent.futures
import contextlib
from pathlib import Path
from types import TracebackType

import pytest

import dspex_core
from dspex_core import DSPexError
from pytest_dspex.collecting.cases import names_of
from pytest_dspex.reports.alike import Cause

_PLUGIN = Path(__file__).parents[1]
_INSIDE = (Path(dspex_core.__file__).parent, _PLUGIN, Path(concurrent.futures.__file__).parent)
# The clients that an LM uses: their frames show the sent data, and the user cannot mend them.
_CLIENTS = frozenset({"aiohttp", "anthropic", "httpcore", "httpx", "litellm", "openai", "tenacity", "urllib3"})


def cause_of(item: pytest.Item, error: BaseException) -> Cause | None:
    """Return the cause of a failure that many cases of a test may share: a miss, or an error of the library."""
    from pytest_dspex.cassettes.lm_recorder import CassetteMiss  # only sessions with a failure need it

    if isinstance(error, CassetteMiss):
        return Cause(names_of(item)[0], "miss", error.cause)
    if isinstance(error, DSPexError):
        return Cause(names_of(item)[0], "error", f"{type(error).__name__}: {error}")
    return None


class MetricFailedError(Exception):
    """A metric of `dspex_data` raised; `metric` is its name, and the cause is what it raised.

    It is not of dspex's tree, so its cause is shown, with the line of the metric.
    """

    def __init__(self, metric: str, error: Exception) -> None:
        from dspex_core.plugin_api import error_text  # only sessions with such a failure need it

        self.metric = metric
        super().__init__(f"the metric {metric!r} raised {error_text(error)}")


def clarify(call: pytest.CallInfo[None], *, full_trace: bool) -> None:
    """Make pytest show a failure without the frames of the library.

    An error of dspex outside the test's call, such as in a fixture, is shown as its message alone.
    """
    excinfo = call.excinfo
    if excinfo is None or full_trace:
        return
    error = excinfo.value
    if isinstance(error, DSPexError) and call.when != "call":
        failure = pytest.fail.Exception(f"{type(error).__name__}: {error}", pytrace=False)
        call.excinfo = pytest.ExceptionInfo.from_exception(failure.with_traceback(error.__traceback__))
        return
    if isinstance(error, DSPexError):
        error.__suppress_context__ = True  # its message names the cause
    for each in _chain(error):
        each.__traceback__ = _outside(each.__traceback__)
    call.excinfo = pytest.ExceptionInfo.from_exception(error.with_traceback(error.__traceback__ or excinfo.tb))


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error, its causes and contexts."""
    found = [error]
    while (earlier := found[-1].__cause__ or found[-1].__context__) is not None and earlier not in found:
        found.append(earlier)
    return found


def _outside(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the library's frames; a filter set on pytest's `ExceptionInfo` would be lost."""
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    kept = None
    for entry in reversed(entries):
        if not _is_inside(entry.tb_frame.f_code.co_filename):
            kept = TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept


def _is_inside(path: str) -> bool:
    parts = Path(path).parts
    package = parts[parts.index("site-packages") + 1] if "site-packages" in parts[:-1] else ""
    if path == contextlib.__file__:  # of the library's own `with` blocks
        return True
    return package in _CLIENTS or any(folder in Path(path).parents for folder in _INSIDE)
