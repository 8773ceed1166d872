"""Classes and functions by name, such as `"my_app.programs:Triage"`, as files store them. PYTEST_DONT_REWRITE

Classes of this library are named as users import them, `"dspex_core:BestOfN"`, wherever they stand inside. Files that
name an inner module still load.
"""

from __future__ import annotations

import importlib
import operator
import sys
from types import FunctionType
from typing import TYPE_CHECKING

from dspex_core.errors import ArtifactError

if TYPE_CHECKING:
    from types import ModuleType

_ROOT = __name__.partition(".")[0]
_HARMLESS = frozenset({f"{_ROOT}:majority"})  # functions of the library that only compute


def class_path(cls: type | FunctionType) -> str:
    """Return the name by which `find_class` finds a class, or `find_function` a function.

    Raises:
        ArtifactError: Another process could not find it by any name.
    """
    path = f"{cls.__module__}:{cls.__qualname__}"
    if _is_own(cls.__module__) and _public(cls.__qualname__) is cls:
        return f"{_ROOT}:{cls.__qualname__}"
    if cls.__module__ == "__main__":
        raise ArtifactError(f"{cls.__qualname__} is defined in a script or notebook: move it to its own module")
    if _attribute(sys.modules.get(cls.__module__), cls.__qualname__) is not cls:
        kind = "class" if isinstance(cls, type) else "function"
        raise ArtifactError(f"{path!r} does not name that {kind}: define it at the top level of its module")
    return path


def find_class(path: str, *, allow_import: bool) -> type:
    """Return the class that a file names.

    Importing a module runs its code, so an untrusted file may not cause it.

    Args:
        path: As `class_path` returned it.
        allow_import: Whether modules may be imported that are not imported yet; those of dspex always may.

    Raises:
        ArtifactError: The class does not exist, or its module may not be imported.
    """
    found = _named(path, allow_import=allow_import)
    if not isinstance(found, type):
        raise ArtifactError(f"it names the class {path!r}, which does not exist")
    return found


def find_function(path: str, *, allow_import: bool) -> FunctionType:
    """Return the function that a file names.

    Args:
        path: As `class_path` returned it.
        allow_import: Whether the file is trusted. A function will be called, so an untrusted file may not name one,
            even from an imported module, but for some of this library that only compute.

    Raises:
        ArtifactError: The function does not exist, or the file is not trusted.
    """
    if not (allow_import or path in _HARMLESS):
        raise ArtifactError(
            f"it names the function {path!r}, which would be called: load with allow_import=True if you trust the file"
        )
    found = _named(path, allow_import=allow_import)
    if not isinstance(found, FunctionType):
        raise ArtifactError(f"it names the function {path!r}, which does not exist")
    return found


def _named(path: str, *, allow_import: bool) -> object:
    name, _, qualname = path.partition(":")
    if _is_own(name) and (public := _public(qualname)) is not None:
        return public
    module = sys.modules.get(name)
    if module is None:
        if not (allow_import or _is_own(name)):
            raise ArtifactError(
                f"it names {path!r}, whose module is not imported: import {name} first, or load with "
                f"allow_import=True if you trust the file"
            )
        try:
            module = importlib.import_module(name)
        except (ImportError, ValueError) as error:
            raise ArtifactError(f"it names {path!r}, whose module cannot be imported: {error}") from error
    return _attribute(module, qualname)


def _is_own(module: str) -> bool:
    return module == _ROOT or module.startswith(f"{_ROOT}.")


def _public(name: str) -> object:
    """Return what the library exports under a name, if that is one of its classes or functions."""
    root = sys.modules.get(_ROOT)
    if root is None or name not in root.__all__:
        return None
    found = _attribute(root, name)
    return found if isinstance(found, type | FunctionType) else None


def _attribute(module: ModuleType | None, qualname: str) -> object:
    try:
        found: object = operator.attrgetter(qualname)(module)
    except AttributeError:
        return None
    return found
