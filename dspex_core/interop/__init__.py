"""Programs of other libraries, run and converted. PYTEST_DONT_REWRITE

`Evaluate`, `@program` and optimizers take programs, optimizers and examples of DSPy, and runnables of LangChain, as
they are. The functions here are for code that wants to convert something itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dspex_core.interop.alias import alias_dspy, is_aliased
    from dspex_core.interop.dspy_bridge.conversion import from_dspy, to_dspy
    from dspex_core.interop.dspy_bridge.lm import as_dspy_lm
    from dspex_core.programs.adopting import adopted as as_program
    from dspex_core.programs.adopting import adopted_optimizer as as_optimizer

__all__ = ["alias_dspy", "as_dspy_lm", "as_optimizer", "as_program", "from_dspy", "is_aliased", "to_dspy"]

_HOMES = {
    "alias_dspy": ("interop.alias", "alias_dspy"),
    "as_dspy_lm": ("interop.dspy_bridge.lm", "as_dspy_lm"),
    "as_optimizer": ("programs.adopting", "adopted_optimizer"),
    "as_program": ("programs.adopting", "adopted"),
    "from_dspy": ("interop.dspy_bridge.conversion", "from_dspy"),
    "is_aliased": ("interop.alias", "is_aliased"),
    "to_dspy": ("interop.dspy_bridge.conversion", "to_dspy"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, own = _HOMES[name]
    return vars(import_module(f"dspex_core.{module}"))[own]
