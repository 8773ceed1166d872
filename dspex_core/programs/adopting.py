"""Programs, optimizers and rows of other libraries, taken for ours where ours are expected. PYTEST_DONT_REWRITE

The modules that know the libraries stand above this one, and import them: they are named here, and imported when a
value of the library is met. That costs other programs a look at their classes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The class by its library and its name, the module that takes it, and the function there.
_PROGRAMS = {
    ("dspy", "Module"): ("dspex_core.interop.dspy_bridge.program", "adopted_program"),
    ("langchain_core", "Runnable"): ("dspex_core.interop.runnables", "adopted_runnable"),
}
_OPTIMIZERS = {("dspy", "Teleprompter"): ("dspex_core.interop.dspy_bridge.optimizer", "adopted_optimizer")}
_ROWS = {("dspy", "Example"): ("dspex_core.interop.dspy_bridge.values", "adopted_example")}


def adopted(program: Any) -> Any:
    """Return a program of DSPy or LangChain as one of ours; anything else as it is."""
    return _adopted(program, _PROGRAMS)


def adopted_optimizer(optimizer: Any) -> Any:
    """Return an optimizer of DSPy as one of ours; anything else as it is."""
    return _adopted(optimizer, _OPTIMIZERS)


def adopted_rows(rows: Any) -> Any:
    """Return a list of examples in which those of DSPy are ours; anything else as it is."""
    if not isinstance(rows, list | tuple):
        return rows
    found: Sequence[Any] = [_adopted(row, _ROWS) for row in rows]
    return found if any(new is not old for new, old in zip(found, rows, strict=True)) else rows


def _adopted(value: Any, known: dict[tuple[str, str], tuple[str, str]]) -> Any:
    if isinstance(value, type):
        return value
    for kind in type(value).__mro__:
        place = known.get((kind.__module__.partition(".")[0], kind.__name__))
        if place is not None:
            adopt: Callable[[Any], Any] = vars(import_module(place[0]))[place[1]]
            return adopt(value)
    return value
