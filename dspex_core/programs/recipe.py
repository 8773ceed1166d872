"""How to make a program again: its class, what to call that with, and its state, as JSON data. PYTEST_DONT_REWRITE

{"class": "my_app:Triage", "arguments": {"k": 3}, "signatures": {...}, "state": {...}}
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dspex_core.class_paths import class_path, find_class
from dspex_core.errors import ArtifactError
from dspex_core.signature import SignatureMeta
from dspex_core.signature_json import signature_from_json, signature_to_json

if TYPE_CHECKING:
    from os import PathLike

    from dspex_core.programs.base import Module

RECIPE_KIND = "whole program"
_PRIVATE = re.compile(
    "api_key|access_key|secret|password|credential|authorization|(ad|access|auth|session)_token"
    "|api_base|base_url|endpoint|headers|model_list"
)
_Program = TypeVar("_Program", bound="Module")


def is_private(name: str) -> bool:
    """Whether an argument of this name holds a key or an endpoint: files have none, and none is taken from them."""
    return bool(_PRIVATE.search(name))


def recipe_file(path: str | PathLike[str]) -> Path:
    """Return the file of a whole program: `path` itself if it is a `.json`, else `program.json` in that folder."""
    return Path(path) if Path(path).suffix == ".json" else Path(path) / "program.json"


def recipe_of(program: Module, base: type[Module]) -> dict[str, Any]:
    """Return a program's recipe, tried out.

    Raises:
        ArtifactError: It could not be made again; `problems` lists each reason.
    """
    arguments = program.constructor_arguments()
    try:
        recipe = {
            "class": class_path(type(program)),
            "arguments": {name: value for name, value in arguments.items() if not _is_signature(value)},
            "signatures": {name: signature_to_json(value) for name, value in arguments.items() if _is_signature(value)},
            "state": program.dump_state(),
        }
        problems = _differences(program, build(recipe, base, allow_import=False))
    except ArtifactError as error:
        problems = list(error.problems) or [error.reason]
    if problems:
        raise ArtifactError(f"this {type(program).__name__} could not be loaded as a whole", problems=problems)
    return recipe


def build(recipe: Mapping[str, Any], base: type[_Program], *, allow_import: bool) -> _Program:
    """Make the program again.

    Raises:
        ArtifactError: The recipe is damaged, a class cannot be found or is no `base`, or the state does not fit.
    """
    match recipe:
        case {
            "class": str(path),
            "arguments": Mapping() as plain,
            "signatures": Mapping() as signatures,
            "state": Mapping() as state,
        }:
            pass
        case _:
            raise ArtifactError("is a damaged artifact: it lacks a part of the program")

    def find(path: str) -> type:
        return find_class(path, allow_import=allow_import)

    cls = find(path)
    if not issubclass(cls, base):
        raise ArtifactError(f"it names {path!r}, which is no program")
    private = sorted(name for name in plain if is_private(name))
    if private:
        raise ArtifactError(f"keys and endpoints have no place in a file: {', '.join(private)}")
    arguments = {**plain, **{name: signature_from_json(stored, find) for name, stored in signatures.items()}}
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        reason = f"{cls.__name__} cannot be called with ({', '.join(arguments)}): {error}; see constructor_arguments"
        raise ArtifactError(reason) from error
    program = cls(**arguments)
    program.load_state(state)
    return program


def _is_signature(value: Any) -> bool:
    return isinstance(value, SignatureMeta)


def _differences(program: Module, copy: Module) -> list[str]:
    """Say which plain attributes the copy does not have, or has with another value."""
    copies = dict(copy.named_modules())
    problems = []
    for path, module in program.named_modules():
        if path not in copies:
            problems.append(f"{path} would not be there after loading")
            continue
        made = vars(copies[path])
        problems += [
            f"{path}.{name} is {value!r} and would not be after loading: constructor_arguments must return what sets it"
            for name, value in vars(module).items()
            if isinstance(value, str | int | float) and made.get(name) != value
            if not (name.startswith("_") or is_private(name))
        ]
    return problems
