"""A runnable of LangChain as a program. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
import keyword
from typing import TYPE_CHECKING, Any

from dspex_core.errors.foreign_code import foreign_code

if TYPE_CHECKING:
    from collections.abc import Callable


def adopted_runnable(runnable: Any) -> Callable[..., Any]:
    """Return a LangChain runnable as a function of its inputs: `invoke` gets them as a dict.

    A runnable that can only be awaited becomes an async function.
    """
    if _is_async_alone(runnable):

        async def acall(**inputs: Any) -> Any:
            return await runnable.ainvoke(inputs)

        return _named(acall, runnable)

    def call(**inputs: Any) -> Any:
        return runnable.invoke(inputs)

    return _named(call, runnable)


def _named(call: Any, runnable: Any) -> Callable[..., Any]:
    """Give a function the runnable's name and, where they are known, its inputs as parameters."""
    call.__name__ = call.__qualname__ = str(runnable.get_name())
    call.__doc__ = f"{type(runnable).__name__} of LangChain."
    call.runnable = runnable
    names = _inputs_of(runnable)
    if names:
        kind = inspect.Parameter.KEYWORD_ONLY
        call.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])
    found: Callable[..., Any] = call
    return found


def _inputs_of(runnable: Any) -> list[str]:
    """Return the names of the inputs that the runnable's schema requires or allows.

    None if it takes any, or if one of them cannot be the name of a parameter.
    """
    try:
        with foreign_code():
            schema = runnable.get_input_jsonschema()
    except Exception:  # noqa: BLE001  of the user's own classes and of types without a schema
        return []
    properties = schema.get("properties")
    names = list(properties) if isinstance(properties, dict) else []
    return names if all(name.isidentifier() and not keyword.iskeyword(name) for name in names) else []


def _is_async_alone(runnable: Any) -> bool:
    """Whether it is, or holds at any depth, a function that can only be awaited."""
    found, seen = [runnable], set()
    while found:
        value = found.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list | tuple | dict):
            found.extend(value.values() if isinstance(value, dict) else value)
        elif _is_runnable(value):
            own = vars(value)
            if any(its_async in own and its_sync not in own for its_async, its_sync in _ASYNC):
                return True
            found.extend(own.values())
    return False


def _is_runnable(value: Any) -> bool:
    kinds = type(value).__mro__
    return any(kind.__name__ == "Runnable" and kind.__module__.startswith("langchain_core.") for kind in kinds)


_ASYNC = (("afunc", "func"), ("_atransform", "_transform"))  # of a `RunnableLambda`, of a `RunnableGenerator`
