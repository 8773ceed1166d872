"""Other libraries' code: their warnings about it are kept from our users, and their modules are whole.

PYTEST_DONT_REWRITE

A release of LiteLLM that does not fit the newest pydantic warns when it is imported or called. Our users
cannot mend that, and where warnings are errors it would fail their calls.

`warnings.catch_warnings` replaces the filters of the whole process, so it takes warnings from other threads
and forgets the filters that they set. Here one filter stays in place. Its category matches every warning, but
only in a context (a thread or task) that is inside another library's code.
"""

from __future__ import annotations

import sys
import threading
import warnings
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_inside: ContextVar[bool] = ContextVar("dspex_inside_foreign_code", default=False)
# Threads that outlive the calls that started them, and have no context of ours. LiteLLM names its own so.
_THREADS = ("litellm-",)


class _MatchesInside(type):
    def __subclasscheck__(cls, subclass: type) -> bool:
        return _inside.get() or threading.current_thread().name.startswith(_THREADS)


class ForeignWarning(Warning, metaclass=_MatchesInside):
    """The category of any warning that comes from inside `foreign_code`; never emitted itself."""


@contextmanager
def foreign_code() -> Iterator[None]:
    """Ignore the warnings of the code inside, in this thread or task and in the tasks that it starts.

    Modules that a library has put a stand-in for are loaded first, as what is imported inside may need them.

    It holds a library's import or a call into it, never code of the user's, whose warnings are for him.
    """
    ignore_foreign_warnings()
    load_stand_ins()
    token = _inside.set(True)
    try:
        yield
    finally:
        _inside.reset(token)


def load_stand_ins() -> None:
    """Load numpy where DSPy has put a proxy in its place, which loads it at the first use of an attribute.

    Where another library imports a submodule of numpy first, as joblib does, the proxy imports numpy a second time
    within the first; that fails, and so does each later use.
    """
    numpy = sys.modules.get("numpy")
    if type(numpy) is not ModuleType and numpy is not None:
        getattr(numpy, "__version__", None)  # the module takes the place of its proxy


def ignore_foreign_warnings() -> None:
    """Put the filter in front of the others, unless it is there."""
    filters = warnings.filters
    # Where each context has filters of its own (Python 3.14 on demand), `warnings.filters` is not all of them.
    per_context = sys.version_info >= (3, 14) and sys.flags.context_aware_warnings
    if per_context or not filters or filters[0][2] is not ForeignWarning:
        warnings.simplefilter("ignore", ForeignWarning)
