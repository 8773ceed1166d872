"""Loading whole programs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from dspex_core.errors import ArtifactError
from dspex_core.programs.base import Module
from dspex_core.programs.saving.provenance import changes_since, refuse_stale, warn_of_stale
from dspex_core.programs.saving.recipe import RECIPE_KIND, build, recipe_file
from dspex_core.storage.artifacts import artifact_state, provenance_of, read_json

if TYPE_CHECKING:
    from os import PathLike


def load(
    path: str | PathLike[str],
    allow_pickle: bool = False,  # noqa: ARG001, FBT001, FBT002  as in DSPy
    *,
    allow_import: bool = False,
    strict: bool = False,
) -> Module:
    """Return the program that `program.save(path, save_program=True)` wrote.

    The file holds names of classes, no code. The program's class is called, so it is taken only
    from modules that are imported already. Where the class says something else now than when the file was written, a
    `StaleArtifactWarning` shows how: the file's words are used.

    Args:
        path: The folder, or the `.json` file.
        allow_pickle: No effect: a pickle is never loaded.
        allow_import: Whether to import the modules that the file names, and to take functions from them,
            such as the reward of a `BestOfN`. Both run their code: only for files that you trust.
        strict: Whether it is an error that the class says something else now.

    Raises:
        StaleArtifactError: With `strict`, the class says something else now.
        ArtifactError: The file cannot be read, or the program cannot be made of it.
    """
    file = recipe_file(path)
    if not os.path.exists(file) and file.with_name("program.pkl").exists():  # noqa: PTH110  `Path` raises for a name that is too long
        message = 'holds a pickle, which is never loaded: in DSPy, save the state alone with program.save("x.json")'
        raise ArtifactError(message, path=str(path))
    try:
        stored = read_json(file)
        program = build(artifact_state(stored, RECIPE_KIND, path=file), allow_import=allow_import)
        changes = changes_since(program, provenance_of(stored))
        if strict:
            refuse_stale(changes)
    except ArtifactError as error:
        raise type(error)(error.reason, path=str(file), problems=error.problems) from error
    if not isinstance(program, Module):
        raise ArtifactError(f"holds a {type(program).__name__}, which is not a program", path=str(file))
    warn_of_stale(changes, file)
    return program
