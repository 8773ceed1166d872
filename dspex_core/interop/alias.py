"""`import dspy` that means `dspex_core`, without a line of a project edited. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

_ALIAS, _OURS = "dspy", __name__.partition(".")[0]
_lock = threading.Lock()


def alias_dspy() -> Callable[[], None]:
    """Let `import dspy`, and the import of its submodules, give `dspex_core`'s modules, for the whole process.

    The modules are the same objects under both names, and classes keep the name that they have in `dspex_core`. Call
    it before the first `import dspy`; a second call changes nothing.

    Returns:
        A function that removes the alias; modules that have imported `dspy` meanwhile keep what they got.

    Raises:
        ConfigurationError: DSPy itself is loaded already: some code would use one and some the other.
    """
    with _lock:
        known = _loaded()
        if any(isinstance(finder, _Finder) for finder in sys.meta_path):
            return lambda: None  # whoever made it removes it
        if known is not None:
            raise ConfigurationError(
                f"dspy cannot be an alias of {_OURS}, since DSPy itself is loaded ({known.__file__}): call "
                "alias_dspy() before anything imports dspy, and see which plugin or conftest.py does"
            )
        finder = _Finder()
        sys.meta_path.insert(0, finder)
        import_module(_ALIAS)

    def undo() -> None:
        with _lock:
            if finder in sys.meta_path:
                sys.meta_path.remove(finder)
                for name in [name for name in sys.modules if _is_alias(name)]:
                    del sys.modules[name]

    return undo


def is_aliased() -> bool:
    """Return whether `dspy` is an alias of `dspex_core` in this process."""
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


class _Finder:
    """Finds `dspy` and what is in it; it is asked before the finders of installed packages."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return how a module is loaded; `None` for modules that are not DSPy's."""
        if not _is_alias(fullname):
            return None
        ours = f"{_OURS}{fullname.removeprefix(_ALIAS)}"
        try:
            module = import_module(ours)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{ours}.".startswith(f"{error.name}."):
                raise
            return None
        return ModuleSpec(fullname, _Loader(module), is_package=hasattr(module, "__path__"))


class _Loader(Loader):
    """Gives the module that is loaded already, as it is."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return our module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing but restore the spec of our module, which the machinery has just replaced."""
        module.__spec__ = self._spec


def _is_alias(name: str) -> bool:
    return name == _ALIAS or name.startswith(f"{_ALIAS}.")


def _loaded() -> Any:
    known = sys.modules.get(_ALIAS)
    return None if known is None or known is sys.modules.get(_OURS) else known
