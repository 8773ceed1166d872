"""How a failure is shown: what the user did and what to do, not the library's inside. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import concurrent.futures
from pathlib import Path

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


def _is_inside(path: Path | str) -> bool:
    return any(folder in Path(path).parents for folder in _INSIDE)
