"""How a failure is shown: what the user did and what to do, not the library's inside. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import concurrent.futures
from pathlib import Path
from types import TracebackType

import pytest

import dspex_core
from dspex_core.errors import DSPexError
from pytest_dspex.cassettes.lm_door import CassetteMiss

_INSIDE = tuple(Path(path).parent for path in (dspex_core.__file__, __file__, concurrent.futures.__file__))


def clarify(call: pytest.CallInfo[None], *, full_trace: bool) -> None:
    """Make pytest show a failure of a dspex test as briefly as it can be understood.

    A missing recording, and an error of dspex that no line of the test caused, is its message
    alone; of other tracebacks the library's own frames are left out.
    """
    excinfo = call.excinfo
    if excinfo is None or full_trace:
        return
    error = excinfo.value
    if isinstance(error, CassetteMiss) or (isinstance(error, DSPexError) and call.when != "call"):
        failure = pytest.fail.Exception(f"{type(error).__name__}: {error}", pytrace=False)
        call.excinfo = pytest.ExceptionInfo.from_exception(failure.with_traceback(error.__traceback__))
        return
    excinfo.traceback = excinfo.traceback.filter(lambda entry: not _is_inside(entry.path)) or excinfo.traceback
    if isinstance(error, DSPexError):
        error.__suppress_context__ = True  # it says itself what came before
    for earlier in _causes(error):
        earlier.__traceback__ = _outside(earlier.__traceback__)


def _causes(error: BaseException) -> list[BaseException]:
    found = [error]
    while (earlier := found[-1].__cause__ or found[-1].__context__) is not None and earlier not in found:
        found.append(earlier)
    return found[1:]


def _outside(traceback: TracebackType | None) -> TracebackType | None:
    if traceback is None:
        return None
    rest = _outside(traceback.tb_next)
    if _is_inside(traceback.tb_frame.f_code.co_filename):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)


def _is_inside(path: Path | str) -> bool:
    return any(folder in Path(path).parents for folder in _INSIDE)
