"""Sources of tools: functions, pydantic models, and other registered kinds. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial, singledispatch
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError
from dspex_core.tools.arguments import Arguments, of_function, of_model
from dspex_core.tools.execution import Invocation

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a tool.

    Args:
        name: Its name, if it has a meaningful one.
        desc: Its description.
        arguments: Its arguments.
        invocation: Makes a call with validated arguments.
    """

    name: str | None
    desc: str
    arguments: Arguments
    invocation: Callable[[Any], Invocation]


@singledispatch
def source_of(func: Any) -> Source:
    """Return the source of a tool made of `func`; other kinds register here.

    Raises:
        ConfigurationError: `func` cannot be a tool.
    """
    if not callable(func):
        raise ConfigurationError(f"a tool must be a function, a pydantic model or a program, not {func!r}")
    if isinstance(func, type) and _is_model(func):
        return Source(func.__name__, inspect.cleandoc(func.__doc__ or ""), of_model(func), _instance)
    function = _unwrapped(func)
    name = function.__name__ if inspect.isroutine(function) or isinstance(function, type) else type(function).__name__
    is_async = inspect.iscoroutinefunction(func) or inspect.iscoroutinefunction(type(function).__call__)
    return Source(
        name if name.isidentifier() else None,
        _description(function),
        of_function(func),
        partial(_invocation, func, is_async=is_async),
    )


def _invocation(func: Callable[..., Any], args: dict[str, Any], *, is_async: bool) -> Invocation:
    call = partial(func, **args)
    return Invocation(acall=call) if is_async else Invocation(call)


def _instance(instance: Any) -> Invocation:
    return Invocation(lambda: instance)


def _description(function: Any) -> str:
    words = function.__doc__ or (type(function).__call__.__doc__ if not inspect.isroutine(function) else None)
    return inspect.cleandoc(words or "")


def _unwrapped(func: Any) -> Any:
    while isinstance(func, partial):
        func = func.func
    return func


def _is_model(kind: type) -> bool:
    from pydantic import BaseModel  # heavy, not needed before the first tool

    return issubclass(kind, BaseModel)


@source_of.register
def _(func: Source) -> Source:
    return func
