"""How often the held-out examples of a program have been consulted. PYTEST_DONT_REWRITE

The count stands in the artifact, for each set of examples by its digest. While no artifact has been written by
`--dspex-optimize`, it stands beside it in `artifacts/<name>.held-out.json`: every look counts, also one that stores
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dspex_core.plugin_api import dataset_data, provenance_of, read_json, short_digest, write_artifact, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dspex_core import Example
    from pytest_dspex.programs import ProgramSpec

_KIND = "held-out"


def digest_of_set(examples: Sequence[Example]) -> str:
    """Return the digest of a set of examples, in whatever order they come."""
    return short_digest(sorted(str(dataset_data([example])) for example in examples))


def looks_at(spec: ProgramSpec, digest: str) -> int:
    """Return how often a set has been consulted for a program."""
    return _looks(spec).get(digest, 0)


def held_out(spec: ProgramSpec, digest: str) -> dict[str, Any]:
    """Return what a new artifact keeps of its held-out examples, with one look more."""
    return {"digest": digest, "looks": _counted(spec, digest)}


def count_look(spec: ProgramSpec, digest: str) -> None:
    """Count a look that leaves the program in use as it is."""
    counted = _counted(spec, digest)
    content = read_json(spec.artifact) if spec.artifact.exists() else {}
    if "held_out" in provenance_of(content):
        content["provenance"]["held_out"]["looks"] = counted
        write_json(spec.artifact, content)
    else:
        write_artifact(_beside(spec), _KIND, {"looks": counted})


def forget_count_beside(spec: ProgramSpec) -> None:
    """Remove the file beside the artifact; the artifact has its count now."""
    _beside(spec).unlink(missing_ok=True)


def _counted(spec: ProgramSpec, digest: str) -> dict[str, int]:
    looks = _looks(spec)
    return {**looks, digest: looks.get(digest, 0) + 1}


def _looks(spec: ProgramSpec) -> dict[str, int]:
    stored = read_json(spec.artifact) if spec.artifact.exists() else {}
    beside = read_json(_beside(spec)) if _beside(spec).exists() else {}
    found: dict[str, int] = {}
    for part in (provenance_of(stored).get("held_out"), beside.get("state") if isinstance(beside, dict) else None):
        looks = part.get("looks") if isinstance(part, Mapping) else None
        for digest, count in looks.items() if isinstance(looks, Mapping) else ():
            if isinstance(count, int):
                found[digest] = max(found.get(digest, 0), count)
    return found


def _beside(spec: ProgramSpec) -> Path:
    return spec.artifact.with_suffix(".held-out.json")
