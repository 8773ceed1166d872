"""Spans for methods of user classes: DSPy's `with_callbacks`. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core.telemetry.spans import span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dspex_core.config.contracts import Listener

_Function = TypeVar("_Function", bound="Callable[..., Any]")


def with_callbacks(fn: _Function) -> _Function:
    """Decorate a method, sync or async, so that its calls emit events to callbacks, like those of a module.

    The inputs are its arguments by name. Callbacks are those in the settings and those of the instance, in its
    attribute `callbacks`.
    """

    @functools.wraps(fn)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        with span("method", *_known(fn, self, args, kwargs)) as attributes:
            attributes["result"] = result = fn(self, *args, **kwargs)
        return result

    @functools.wraps(fn)
    async def awaited(self: Any, *args: Any, **kwargs: Any) -> Any:
        with span("method", *_known(fn, self, args, kwargs)) as attributes:
            attributes["result"] = result = await fn(self, *args, **kwargs)
        return result

    return awaited if inspect.iscoroutinefunction(fn) else called  # type: ignore[return-value]  # it is wrapped


def arguments_of(
    function: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a method's call by name, defaults included; those that do not fit as they were given."""
    try:
        bound = inspect.signature(function).bind(instance, *args, **kwargs)
    except TypeError:  # the call itself raises the best error
        return {"args": args, "kwargs": kwargs}
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def _known(
    function: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], Sequence[Listener]]:
    own = vars(instance).get("callbacks") if hasattr(instance, "__dict__") else None
    return {"instance": instance, "inputs": arguments_of(function, instance, args, kwargs)}, tuple(own or ())
