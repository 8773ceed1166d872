"""DSPy's module paths, as faces without logic. PYTEST_DONT_REWRITE

This folder stands on the `__path__` of `dspex_core`, so `dspy_paths/utils/callback.py` is imported as
`dspex_core.utils.callback`. Where DSPy's name is also one of ours (`adapters`, `streaming`, ...), the folder here
stands on the `__path__` of ours. Nothing of it is loaded before it is asked for.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def folder_of(package: str) -> str:
    """Return the folder of this one that holds DSPy's submodules of a package, such as `"dspex_core.adapters"`."""
    return os.path.join(os.path.dirname(__file__), *package.split(".")[1:])  # noqa: PTH118, PTH120  pathlib takes longer to import than this package


def submodules(package: str, **names: str) -> Callable[[str], Any]:
    """Return a module's `__getattr__` that imports a submodule when it is first asked for, as `dspy.utils.callback`.

    Args:
        package: The module.
        **names: Further names that it offers, each with the submodule that has it.
    """

    def __getattr__(name: str) -> Any:  # noqa: N807  it becomes one
        if name in names:
            return getattr(import_module(f"{package}.{names[name]}"), name)
        path = f"{package}.{name}"
        if not name.startswith("_"):
            try:
                return import_module(path)
            except ModuleNotFoundError as error:
                if error.name != path:
                    raise
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__


def of_root(name: str) -> Any:
    """Return what DSPy has at its root and `dspex_core` does not list: a module, or a name of `top_level`.

    Raises:
        AttributeError: There is neither.
    """
    try:
        return _module_of_root(name)
    except AttributeError as error:
        if name.startswith("_"):
            raise
        missing = error
    try:
        return getattr(import_module("dspex_core.dspy_paths.top_level"), name)  # loads nearly everything
    except AttributeError:
        raise missing from None


_module_of_root = submodules("dspex_core")
