"""Settings in JSON files: plain data, and the LM by its name. PYTEST_DONT_REWRITE"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dspex_core.errors import ArtifactError
from dspex_core.storage.artifacts import artifact_state, read_json, write_artifact
from dspex_core.storage.class_paths import class_path, find_class

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from os import PathLike

_KIND = "settings"
_LM = "dspex_core:LM"  # by its name: this module stands below it
_LMS = ("lm", "judge_lm")


def write_settings(path: str | PathLike[str], settings: Mapping[str, Any]) -> None:
    """Write the settings that are data, and the LMs without their keys and endpoints."""
    state = {name: value for name, value in settings.items() if isinstance(value, bool | int | float | str)}
    for name in _LMS:
        lm = settings.get(name)
        if lm is not None and class_path(type(lm)) == _LM:
            state[name] = lm.dump_state()
    write_artifact(path, _KIND, state)


def read_settings(path: str | PathLike[str], names: Collection[str]) -> dict[str, Any]:
    """Return the settings in a file.

    Raises:
        ArtifactError: The file cannot be read, or it holds other things than settings.
    """
    try:
        state = artifact_state(read_json(path), _KIND, path=path)
    except ArtifactError as error:
        with_reason = (
            f"{error.reason}. A file that DSPy wrote is a pickle, which is never loaded: it would run its code"
        )
        raise type(error)(with_reason, path=str(path), problems=error.problems) from error
    unknown = [f"the setting {name!r} is unknown" for name in state if name not in names]
    lms = {name: state[name] for name in _LMS if state.get(name) is not None}
    for name, lm in lms.items():
        if not (isinstance(lm, dict) and isinstance(lm.get("model"), str)):
            unknown.append(f"the {'LM' if name == 'lm' else name} is {lm!r}, not an object with a model")
    if unknown:
        raise ArtifactError("does not hold settings of this version", path=str(path), problems=unknown)
    return {**state, **{name: find_class(_LM, allow_import=True)(**lm) for name, lm in lms.items()}}
