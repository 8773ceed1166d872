"""How to make a program again: its class, what to call that with, and its state, as JSON data. PYTEST_DONT_REWRITE

{"class": "my_app:Triage", "arguments": {"k": 3}, "signatures": {...}, "state": {...}}

Arguments that are programs, functions or lists of these stand under "programs" and "functions". The
state is that of the whole, so a program among the arguments has none of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ArtifactError
from dspex_core.plain.display import error_text
from dspex_core.plain.secrets import is_private, without_secrets
from dspex_core.programs.saving.provenance import source_fingerprint
from dspex_core.programs.saving.state import others
from dspex_core.programs.saving.storable import Storable
from dspex_core.programs.saving.tree import attributes, walk
from dspex_core.signatures.signature import SignatureMeta
from dspex_core.signatures.stored import signature_from_json, signature_to_json
from dspex_core.signatures.trusted_types import find_type
from dspex_core.storage.artifacts import refuse_other_than_path
from dspex_core.storage.class_paths import class_path, find_class, find_function

if TYPE_CHECKING:
    from os import PathLike

RECIPE_KIND = "whole program"
_DAMAGED = "is a damaged artifact: it lacks a part of the program"


def recipe_file(path: str | PathLike[str]) -> Path:
    """Return the file of a whole program: `path` itself if it is a `.json`, else `program.json` in that folder.

    Raises:
        ArtifactError: It is not a path.
    """
    refuse_other_than_path(path)
    return Path(path) if Path(path).suffix == ".json" else Path(path) / "program.json"


def recipe_of(program: Storable) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a program's recipe, tried out, and its provenance: the source that its class gives it now.

    Raises:
        ArtifactError: It could not be made again; `problems` lists each reason.
    """
    try:
        recipe = {**_construction(program), "state": program.dump_state()}
        copy = build(recipe, allow_import=True)
        problems = _differences(program, copy)
    except ArtifactError as error:
        problems = list(error.problems) or [error.reason]
    if problems:
        raise ArtifactError(f"this {type(program).__name__} could not be loaded as a whole", problems=problems)
    return recipe, {"fingerprint": source_fingerprint(copy)}


def build(recipe: Mapping[str, Any], *, allow_import: bool) -> Storable:
    """Make the program again.

    Raises:
        ArtifactError: The recipe is damaged, a class cannot be found or is not a program's, or the state does not fit.
    """
    if not isinstance(recipe.get("state"), Mapping):
        raise ArtifactError(_DAMAGED)
    program = _constructed(recipe, allow_import=allow_import)
    program.load_state(recipe["state"])
    return program


def _construction(program: Storable) -> dict[str, Any]:
    """Return a recipe without a state."""
    arguments = program.constructor_arguments()
    signatures = {name: signature_to_json(value) for name, value in arguments.items() if _is_signature(value)}
    programs = {name: _constructions(value) for name, value in arguments.items() if _is_program(value)}
    functions = {name: _paths(value) for name, value in arguments.items() if _is_function(value)}
    plain = {name: value for name, value in arguments.items() if not {name} & {*signatures, *programs, *functions}}
    recipe = {"class": class_path(type(program)), "arguments": plain, "signatures": signatures}
    return {**recipe, **{kind: some for kind, some in (("programs", programs), ("functions", functions)) if some}}


def _constructed(recipe: Any, *, allow_import: bool) -> Storable:
    match recipe:
        case {"class": str(path), "arguments": Mapping() as plain, "signatures": Mapping() as signatures}:
            programs, functions = recipe.get("programs", {}), recipe.get("functions", {})
        case _:
            raise ArtifactError(_DAMAGED)
    if not (isinstance(programs, Mapping) and isinstance(functions, Mapping)):
        raise ArtifactError(_DAMAGED)

    cls = find_class(path, allow_import=allow_import)
    if not issubclass(cls, Storable):
        raise ArtifactError(f"it names {path!r}, which is not a program")
    _refuse_private(plain)
    find = partial(find_type, allow_import=allow_import)
    arguments = {
        **plain,
        **{name: signature_from_json(stored, find) for name, stored in signatures.items()},
        **{name: _constructed_all(stored, allow_import=allow_import) for name, stored in programs.items()},
        **{name: _found(stored, allow_import=allow_import) for name, stored in functions.items()},
    }
    program = _called(cls, arguments)
    _refuse_config(program, plain)
    return program


def _constructions(programs: Any) -> Any:
    return list(map(_construction, programs)) if isinstance(programs, list) else _construction(programs)


def _constructed_all(recipes: Any, *, allow_import: bool) -> Any:
    """Make the program of a recipe, or the list of those of a list."""
    if isinstance(recipes, list):
        return [_constructed(recipe, allow_import=allow_import) for recipe in recipes]
    return _constructed(recipes, allow_import=allow_import)


def _called(cls: type[Storable], arguments: Mapping[str, Any]) -> Storable:
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        reason = f"{cls.__name__} cannot be called with ({', '.join(arguments)}): {error}; see constructor_arguments"
        raise ArtifactError(reason) from error
    try:
        return cls(**arguments)
    except Exception as error:  # a constructor is the user's code
        raise ArtifactError(f"{cls.__name__}({', '.join(arguments)}) failed: {error_text(error)}") from error


def _refuse_private(plain: Mapping[str, Any]) -> None:
    private = sorted(
        name for name, value in plain.items() if without_secrets({name: value}, is_private) != {name: value}
    )
    if private:
        raise ArtifactError(f"keys and endpoints have no place in a file: {', '.join(private)}")


def _refuse_config(program: Storable, plain: Mapping[str, Any]) -> None:
    """Refuse arguments that became the config of a predictor and are not sampling parameters."""
    given = _names(plain)
    strange = {name for _, predictor in program.every_predictor() for name in others(predictor.config) if name in given}
    if strange:
        names = ", ".join(sorted(strange))
        raise ArtifactError(f"a file sets sampling parameters of a predictor, and no others: {names}")


def _names(value: Any) -> set[str]:
    """Return the names in JSON data, at any depth."""
    if isinstance(value, Mapping):
        return {*value, *(name for item in value.values() for name in _names(item))}
    return {name for item in value for name in _names(item)} if isinstance(value, list | tuple) else set()


def _is_signature(value: Any) -> bool:
    return isinstance(value, SignatureMeta)


def _is_program(value: Any) -> bool:
    """Whether it is a program, or a list of some."""
    programs = value if isinstance(value, list) and value else [value]
    return all(isinstance(program, Storable) for program in programs)


def _is_function(value: Any) -> bool:
    """Whether it is a function, or a list of some."""
    functions = value if isinstance(value, list) and value else [value]
    return all(isinstance(function, FunctionType) for function in functions)


def _paths(functions: Any) -> str | list[str]:
    return [class_path(function) for function in functions] if isinstance(functions, list) else class_path(functions)


def _found(paths: Any, *, allow_import: bool) -> Any:
    """Return the function, or the list of functions, that a file names."""
    if isinstance(paths, list):
        return [_found(path, allow_import=allow_import) for path in paths]
    if not isinstance(paths, str):
        raise ArtifactError(_DAMAGED)
    return find_function(paths, allow_import=allow_import)


def _differences(program: Storable, copy: Storable) -> list[str]:
    """Say which plain attributes the copy does not have, or has with another value."""
    copies = dict(walk("", copy, set()))
    problems = []
    for path, module in walk("", program, set()):
        if path not in copies:
            problems.append(f"{path} would not be there after loading")
            continue
        made = vars(copies[path])
        problems += [
            f"{path}.{name} is {value!r} and would not be after loading: constructor_arguments must return what sets it"
            for name, value in attributes(module).items()
            if isinstance(value, str | int | float) and made.get(name) != value
            if not (name.startswith("_") or is_private(name))
        ]
    return problems
