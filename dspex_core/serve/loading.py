"""The program of a service, from files and names that its operator gives. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import importlib
from os import PathLike
from typing import Any

from dspex_core.errors import ArtifactError, ConfigurationError, MissingArtifactError
from dspex_core.plain.display import error_text, value_text
from dspex_core.programs.base import Module
from dspex_core.programs.saving.loading import load
from dspex_core.programs.saving.recipe import RECIPE_KIND, recipe_file
from dspex_core.serve.rebuilt import rebuilt
from dspex_core.storage.artifacts import read_json


def load_program(
    path: str | PathLike[str] | None = None,
    *,
    factory: str | None = None,
    allow_import: bool = False,
    strict: bool = False,
) -> Module:
    """Return the program to serve.

    Args:
        path: A file or folder that `save` or `--dspex-optimize` has written: a whole program, or the state of the one
            that `factory` makes. The state of a compiled `Predict` or `ChainOfThought` whose types need no import
            describes its program whole, so it can do without `factory`.
        factory: `"package.module:name"` of a function or class that returns the program, of a program, or of a
            function with pytest_dspex's `@program`.
        allow_import: Whether to import the modules that the file names; see `dspex_core.load`.
        strict: Whether it is an error that the program's source has changed since the file was written.

    Raises:
        ArtifactError: The file cannot be read or used.
        ConfigurationError: Neither is given, or `factory` does not name a program.
    """
    if not isinstance(path, str | PathLike | None):
        raise ConfigurationError(f"the file of a program must be named by a path, not {value_text(path, 200)}")
    if factory is None:
        if path is None:
            raise ConfigurationError("there is nothing to serve: name a file, or a program as module:function")
        return _whole(path, allow_import=allow_import, strict=strict)
    program = made(factory)
    if path is not None:
        program.load(path, strict=strict)
    return program


def made(factory: str) -> Module:
    """Return the program that a name stands for.

    Raises:
        ConfigurationError: It does not stand for one.
    """
    module, _, name = str(factory).partition(":")
    if not (module and name) or module.startswith("."):
        raise ConfigurationError(f"{factory!r} does not name a program: write package.module:function")
    try:
        imported = importlib.import_module(module)
    except ImportError as error:
        message = f"{factory!r} cannot be imported: {error}; the current folder is looked at, too"
        raise ConfigurationError(message) from error
    except (Exception, SystemExit) as error:  # the user's code, which may also not be Python
        raise ConfigurationError(f"{factory!r} cannot be imported: {error_text(error)}") from error
    found = _builder(vars(imported).get(name))
    if callable(found) and not isinstance(found, Module):
        try:
            found = found()
        except (Exception, SystemExit) as error:  # the user's code
            raise ConfigurationError(f"{factory!r} raised {error_text(error)}") from error
    if not isinstance(found, Module):
        raise ConfigurationError(f"{factory!r} does not name a program, or a function that returns one: {found!r}")
    return found


def _builder(found: Any) -> Any:
    """Return the function that builds a program of the tests: their name for it is a fixture, which nobody may call."""
    if type(found).__module__ != "_pytest.fixtures":  # known by name, without an import of pytest
        return found
    program = vars(found).get("dspex_program")
    if program is None:
        raise ConfigurationError(f"{found!r} does not name a program: it is a fixture without @program")
    return program.build_module


def _whole(path: str | PathLike[str], *, allow_import: bool, strict: bool) -> Module:
    file = recipe_file(path)
    try:
        stored = read_json(file)
    except MissingArtifactError:
        stored = None  # `load` says so
    if not isinstance(stored, dict) or stored.get("kind") == RECIPE_KIND or "state" not in stored:
        return load(path, allow_import=allow_import, strict=strict)
    program = rebuilt(stored, name=file.stem)
    if program is None:
        raise ArtifactError(
            "holds the state of a program, and does not describe all of the program: give that as --program "
            "package.module:function (factory= in Python), or save it whole with save(..., save_program=True)",
            path=str(file),
        )
    program.load(file, strict=strict)
    return program
