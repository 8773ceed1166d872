"""Loading whole programs. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dspex_core.errors import ArtifactError
from dspex_core.programs.base import Module
from dspex_core.programs.saving.recipe import RECIPE_KIND, build, recipe_file
from dspex_core.storage.artifacts import read_artifact

if TYPE_CHECKING:
    from os import PathLike


def load(
    path: str | PathLike[str],
    allow_pickle: bool = False,  # noqa: ARG001, FBT001, FBT002  as in DSPy
    *,
    allow_import: bool = False,
) -> Module:
    """Return the program that `program.save(path, save_program=True)` wrote.

    The file holds names of classes, no code. The program's class is called, so it is taken only
    from modules that are imported already.

    Args:
        path: The folder, or the `.json` file.
        allow_pickle: No effect: a pickle is never loaded.
        allow_import: Whether to import the modules that the file names, and to take functions from them,
            such as the reward of a `BestOfN`. Both run their code: only for files that you trust.

    Raises:
        ArtifactError: The file cannot be read, or the program cannot be made of it.
    """
    file = recipe_file(path)
    if not file.exists() and file.with_name("program.pkl").exists():
        message = 'holds a pickle, which is never loaded: in DSPy, save the state alone with program.save("x.json")'
        raise ArtifactError(message, path=str(path))
    try:
        program = build(read_artifact(file, RECIPE_KIND), allow_import=allow_import)
    except ArtifactError as error:
        raise type(error)(error.reason, path=str(file), problems=error.problems) from error
    if not isinstance(program, Module):
        raise ArtifactError(f"holds a {type(program).__name__}, which is not a program", path=str(file))
    return program
