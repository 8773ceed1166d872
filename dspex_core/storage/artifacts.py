"""Artifacts: JSON files with a kind and a schema version, written whole or not at all. PYTEST_DONT_REWRITE

    {
      "format": "dspex-artifact",
      "version": 1,
      "kind": "program",
      "provenance": {...},
      "metadata": {...},
      "state": {...}
    }

The content of a state is defined by its writers and readers. The provenance, which may be missing, says of what and how
the state was made.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core.errors import ArtifactError, MissingArtifactError
from dspex_core.errors.shown import ENDLESS
from dspex_core.plain.display import value_text
from dspex_core.storage.files import read_file, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FORMAT = "dspex-artifact"
_VERSION = 1
_SHOWN = 200  # characters of a value in a message
_NAMED = 4  # steps to a value in a message


def write_artifact(
    path: str | os.PathLike[str],
    kind: str,
    state: Mapping[str, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write a state so that `read_artifact` returns it unchanged, replacing the file as a whole.

    Args:
        path: The file; its directory is made if it is not there.
        kind: The kind of the state, which the reader must also name.
        state: JSON values (dicts with text keys, lists, texts, finite numbers, bools, `None`).
        metadata: Notes for people who read the file, such as what it scores.
        provenance: Of what and how the state was made, for `provenance_of`.

    Raises:
        ArtifactError: A value is not JSON (`problems` names each), or the file cannot be written. In both cases an
            older file stays unchanged.
    """
    made = {"provenance": dict(provenance)} if provenance else {}
    body = {**made, "metadata": dict(metadata or {}), "state": dict(state)}
    write_json(path, {"format": _FORMAT, "version": _VERSION, "kind": kind, **body})


def write_json(path: str | os.PathLike[str], document: Mapping[str, Any]) -> None:
    """Write a JSON file as a whole, or raise as `write_artifact` does."""
    try:
        problems = [problem for name, part in document.items() for problem in _problems(part, name)]
        text = "" if problems else json.dumps(document, indent=2, ensure_ascii=False)
    except RecursionError:
        problems = [_endless_part(document)]
    if problems:
        raise ArtifactError("only JSON values can be stored", path=str(path), problems=problems)
    try:
        write_atomically(path, text + "\n")
    except OSError as error:
        message = f"cannot be written: {error.strerror}"
        raise ArtifactError(message, path=str(path)) from error
    except UnicodeEncodeError as error:
        message = f"cannot be written in UTF-8: {error.object[error.start]!r} is half of a surrogate pair"
        raise ArtifactError(message, path=str(path)) from error


def refuse_pickle(path: str | os.PathLike[str]) -> None:
    """Raise for the name of a pickle, which is neither written nor read.

    Raises:
        ArtifactError: `path` names a pickle, or is not a path.
    """
    refuse_other_than_path(path)
    if Path(path).suffix in {".pkl", ".pickle"}:
        message = "is a pickle, which is neither written nor loaded: loading one runs its code. Use a .json file"
        raise ArtifactError(message, path=str(path))


def refuse_other_than_path(path: object) -> None:
    """Raise for what cannot be the path of a file.

    Raises:
        ArtifactError: It is neither a text nor a path object, or it holds a NUL.
    """
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str):
        raise ArtifactError(f"a file is given as its path, such as 'program.json', not as {value_text(path, 100)}")
    if "\0" in name:
        raise ArtifactError(f"the path {name!r} cannot be used: it has a NUL")


def read_artifact(path: str | os.PathLike[str], kind: str) -> dict[str, Any]:
    """Return the state that `write_artifact` stored.

    Raises:
        ArtifactError: The file does not exist, is not an artifact of this kind, or is of a newer version of dspex.
    """
    return artifact_state(read_json(path), kind, path=path)


def provenance_of(envelope: Any) -> Mapping[str, Any]:
    """Return the provenance in the content of a file; empty where the file has none."""
    found = envelope.get("provenance") if isinstance(envelope, dict) and envelope.get("format") == _FORMAT else None
    return found if isinstance(found, dict) else {}


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return what a JSON file holds.

    Raises:
        ArtifactError: The file does not exist, or is not JSON.
    """
    source = str(path)
    try:
        return json.loads(read_file(path).decode())
    except OSError as error:
        kind = MissingArtifactError if isinstance(error, FileNotFoundError) else ArtifactError
        raise kind(f"cannot be read: {error.strerror}", path=source) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested too deep
        message = f"is not an artifact, as it is not JSON: {error}"
        raise ArtifactError(message, path=source) from error


def artifact_state(envelope: Any, kind: str, *, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the state in the content of an artifact, or raise as `read_artifact` does."""
    problem = _envelope_problem(envelope, kind)
    if problem:
        raise ArtifactError(problem, path=str(path))
    state: dict[str, Any] = envelope["state"]
    return state


def _envelope_problem(envelope: Any, kind: str) -> str | None:
    if not isinstance(envelope, dict) or envelope.get("format") != _FORMAT:
        return f"is JSON, but not a dspex artifact: it lacks 'format': {_FORMAT!r}"
    version = envelope.get("version")
    if not isinstance(version, int):
        return f"is a damaged artifact: its version is {version!r}"
    if version > _VERSION:
        return f"has schema version {version}; this dspex reads up to {_VERSION}: update pytest-dspex"
    if envelope.get("kind") != kind:
        return f"is an artifact of kind {envelope.get('kind')!r}, not {kind!r}"
    if not isinstance(envelope.get("state"), dict):
        return "is a damaged artifact: it has no state"
    return None


def _problems(value: Any, where: str) -> Iterator[str]:
    """Yield the place of each part of a value that JSON cannot store unchanged."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str):
                yield from _problems(item, f"{where}.{key}")
            else:
                yield f"{where}: the key {value_text(key, _SHOWN)} is not a text"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, f"{where}[{index}]")
    elif not _is_json_scalar(value):
        yield f"{where}: {value_text(value, _SHOWN)} ({type(value).__name__}) is not a JSON value"


def _endless_part(document: Any) -> str:
    """Say which part of a document cannot be written to its end; its place is named to a few levels."""
    where = ""
    for _ in range(_NAMED):
        parts = document.items() if isinstance(document, dict) else enumerate(document)
        name, document = next((name, part) for name, part in parts if not _ends(part))
        where += f"[{name}]" if isinstance(name, int) else f".{name}" if where else name
    return f"{where}: it {ENDLESS}"


def _ends(part: Any) -> bool:
    try:
        json.dumps(part, indent=2)
    except (RecursionError, ValueError):  # ValueError: it holds itself
        return False
    return True


def _is_json_scalar(value: Any) -> bool:
    return math.isfinite(value) if isinstance(value, float) else isinstance(value, str | int | None)
