"""A runnable of LangChain as a program. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import inspect
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
        keyword = inspect.Parameter.KEYWORD_ONLY
        call.__signature__ = inspect.Signature([inspect.Parameter(name, keyword) for name in names])
    found: Callable[..., Any] = call
    return found


def _inputs_of(runnable: Any) -> list[str]:
    """Return the names of the inputs that the runnable's schema requires or allows; none if it takes any."""
    try:
        with foreign_code():
            schema = runnable.get_input_jsonschema()
    except Exception:  # noqa: BLE001  of the user's own classes and of types without a schema
        return []
    properties = schema.get("properties")
    return [name for name in properties if name.isidentifier()] if isinstance(properties, dict) else []


def _is_async_alone(runnable: Any) -> bool:
    """Whether its first or any other step is a function that can only be awaited."""
    steps = [runnable, *getattr(runnable, "steps", ())]  # of a sequence; other runnables have none
    return any(hasattr(step, "afunc") and not hasattr(step, "func") for step in steps)
