"""Of what and how a stored state was made, and whether it is still that of its program. PYTEST_DONT_REWRITE

    "provenance": {
      "date": "2026-11-26T18:40:00+00:00",
      "optimizer": "KNNFewShot(k=4)",
      "fingerprint": {"version": 1, "source": {...}, "optimizer": {...}, "trainset": {...}, ...},
      "held_out": {"looks": {"0f3a52c6d0b1e7a4": 2}}
    }

Every part may be missing. Files of plain states, and those of DSPy, have none of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dspex_core.errors import StaleArtifactError, StaleArtifactWarning
from dspex_core.programs.saving.source import source_changes, source_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from dspex_core.programs.saving.storable import Storable

FINGERPRINT_VERSION = 1
STALE = "was compiled from another source than the program has now (- then, + now)"


def source_fingerprint(program: Storable) -> dict[str, Any]:
    """Return a fingerprint with the source alone."""
    return {"version": FINGERPRINT_VERSION, "source": source_of(program)}


def origin_of(program: Storable) -> Mapping[str, Any] | None:
    """Return the provenance for a program's file: what an optimizer noted, else its source if a state hides it."""
    noted: Mapping[str, Any] | None = vars(program).get("_dspex_origin")
    if noted is not None or not any(predictor.is_declared for _, predictor in program.every_predictor()):
        return noted
    return {"fingerprint": source_fingerprint(program)}


def fingerprint_in(provenance: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the fingerprint in a provenance, if this version can read it."""
    found = provenance.get("fingerprint")
    is_known = isinstance(found, Mapping) and found.get("version") == FINGERPRINT_VERSION
    return found if is_known else None


def changes_since(program: Storable, provenance: Mapping[str, Any]) -> list[str]:
    """Return how a program's source has changed since, as lines; none where that is not to be known."""
    found = fingerprint_in(provenance)
    source = None if found is None else found.get("source")
    return source_changes(source, source_of(program)) if isinstance(source, Mapping) else []


def refuse_stale(changes: Sequence[str]) -> None:
    """Raise StaleArtifactError if there are changes."""
    if changes:
        raise StaleArtifactError(f"{STALE}: recompile it, or delete the file", problems=changes)


def warn_of_stale(changes: Sequence[str], path: str | PathLike[str]) -> None:
    """Emit a StaleArtifactWarning, for the line of the user's that loads, if there are changes."""
    if changes:
        lines = "".join(f"\n  {line}" for line in changes)
        advice = "Its words are used, not those of the source: recompile it, or delete the file."
        warnings.warn(f"{path} {STALE}:{lines}\n{advice}", StaleArtifactWarning, stacklevel=3)
