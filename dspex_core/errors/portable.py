"""Errors that leave the process: pickle, cloudpickle and copies of an error of any constructor. PYTEST_DONT_REWRITE

Python makes a pickled exception again by calling its class with `args`, which fails where the constructor takes
something else than the message. Here the class is not called: the message and the attributes are put back.
"""

from __future__ import annotations

from typing import Any


def reduced(error: BaseException) -> tuple[Any, ...]:
    """Return what `__reduce__` of an error returns."""
    return restored, (type(error), _arguments(error), vars(error).copy())


def restored(kind: type[BaseException], arguments: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """Return the error that was reduced; notes are part of the state."""
    error: BaseException = (OSError if issubclass(kind, OSError) else BaseException).__new__(kind)
    vars(BaseException)["args"].__set__(error, arguments)
    error.__dict__.update(state)
    return error


def _arguments(error: BaseException) -> tuple[Any, ...]:
    """Return the arguments that Python keeps, also of a class that has an attribute `args` of its own."""
    found: tuple[Any, ...] = vars(BaseException)["args"].__get__(error)
    return found
