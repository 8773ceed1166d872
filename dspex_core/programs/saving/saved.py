"""Programs that are written to files and read from them. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from dspex_core.errors import ArtifactError, ConfigurationError
from dspex_core.programs.saving import dspy_format as dspy
from dspex_core.programs.saving.provenance import changes_since, origin_of, refuse_stale, warn_of_stale
from dspex_core.programs.saving.recipe import RECIPE_KIND, recipe_file, recipe_of
from dspex_core.programs.saving.storable import Storable
from dspex_core.storage.artifacts import (
    artifact_state,
    provenance_of,
    read_json,
    refuse_pickle,
    write_artifact,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

ARTIFACT_KIND = "program"


class Saved(Storable):
    """A program with the methods `save` and `load`."""

    def save(
        self,
        path: str | PathLike[str],
        save_program: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        modules_to_serialize: Sequence[Any] | None = None,
        *,
        format: Literal["dspex", "dspy"] = "dspex",  # noqa: A002  what it is
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the program's state to a JSON file; it appears whole or not at all. No key and no LM is stored.

        Args:
            path: The file; its folder is made if need be. For a whole program, a folder or a `.json` file.
            save_program: Whether to write what `dspex_core.load` needs to make the program again, and
                not its state alone: the name of its class, its `constructor_arguments` and its state.
            modules_to_serialize: Refused: DSPy pickles them, and nothing is pickled here.
            format: Whose: `"dspy"` writes what the `load` of a DSPy program reads.
            metadata: JSON data to keep with the state, such as the score that it reached; DSPy's form has no place
                for it.

        Raises:
            ArtifactError: The file cannot be written, or not in this format, or the program could not
                be made again; an older one stays as it was.
            ConfigurationError: The format is unknown, or it has no place for metadata or for the program.
        """
        if modules_to_serialize:
            raise ConfigurationError(
                "modules_to_serialize cannot be kept: a file holds names of classes and JSON data, no code; install or "
                "import the modules where the program is loaded"
            )
        refuse_pickle(path)
        if save_program and format == "dspex":
            recipe, made_of = recipe_of(self)
            write_artifact(recipe_file(path), RECIPE_KIND, recipe, metadata=metadata, provenance=made_of)
        elif format == "dspex":
            write_artifact(path, ARTIFACT_KIND, self.dump_state(), metadata=metadata, provenance=origin_of(self))
        elif format == "dspy" and metadata is None and not save_program:
            write_json(path, dspy.dump_dspy_state(type(self).__name__, self.every_predictor()))
        else:
            message = (
                f"a program is saved as 'dspex', or its state alone, without metadata, as 'dspy'; not as {format!r}"
            )
            raise ConfigurationError(message)

    def load(
        self,
        path: str | PathLike[str],
        allow_pickle: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        allow_unsafe_lm_state: bool = False,  # noqa: FBT001, FBT002  as in DSPy
        *,
        strict: bool = False,
    ) -> None:
        """Take over the state in a file that `save` wrote, or that of a DSPy program (a `.json` one).

        The predictors keep their LMs: what a DSPy file says of LMs is not used, and the log says so. No pickle is
        loaded, whatever `allow_pickle` says. A file that keeps what it was compiled from is compared with the program's
        source: where that has changed since, a `StaleArtifactWarning` shows how.

        Raises:
            ArtifactError: The file cannot be read or does not fit; nothing was changed.
            StaleArtifactError: Only with `strict`: the program's source has changed since; nothing was changed.
        """
        refuse_pickle(path)
        try:
            stored = read_json(path)
            changes = changes_since(self, provenance_of(stored))
            if strict:
                refuse_stale(changes)
            self.load_state(stored if dspy.is_dspy_state(stored) else artifact_state(stored, ARTIFACT_KIND, path=path))
        except ArtifactError as error:
            raise type(error)(error.reason, path=str(path), problems=error.problems) from error
        warn_of_stale(changes, path)
