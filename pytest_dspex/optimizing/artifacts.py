"""The compiled artifacts in use: what the header says of each, and the stop where one is stale. PYTEST_DONT_REWRITE

An artifact's words hide each later edit of the program's source, so that tests would go on testing the old words. So
the session ends before the first test when the source of a program has changed since its artifact was compiled. What
else it was compiled from (data, optimizer, LM) may change; a line says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspex_core import ArtifactError, DSPexError, Module, context
from dspex_core.plugin_api import (
    changes_since,
    fingerprint_in,
    fingerprint_of,
    lm_data,
    part_changes,
    provenance_of,
    read_json,
    source_of,
)
from pytest_dspex.collecting.case import CASE
from pytest_dspex.collecting.problems import report_problem
from pytest_dspex.optimizing.in_use import USED, Used
from pytest_dspex.options import OPTIONS, is_worker
from pytest_dspex.programs import BUILT
from pytest_dspex.reports.shown import shown
from pytest_dspex.session.controller import add_note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pytest

    from dspex_core import BaseLM, LMRequest, LMResponse
    from pytest_dspex.programs import Dataset, ProgramSpec


def check_artifacts(config: pytest.Config, specs: Iterable[ProgramSpec], *, recompiled: Iterable[ProgramSpec]) -> None:
    """Report each stale artifact of the programs that the tests use as a problem, and note what the header says.

    Args:
        config: The session's.
        specs: The programs that have an artifact.
        recompiled: The programs that are compiled anew before the tests: their artifacts may be stale.
    """
    header: list[str] = []
    spared = set(recompiled)
    for spec in specs:
        header += _check(config, spec, may_be_stale=spec in spared or config.option.collectonly)
    if not header:
        return
    if is_worker(config):  # its controller has printed the header by now
        for line in header:
            add_note(config, line)
    else:
        config.pluginmanager.register(_Header(header), "dspex-artifacts")


def check_lm(item: pytest.Item, lm: BaseLM) -> None:
    """Note once for each artifact that it was compiled with another LM than a test now asks."""
    used = item.config.stash.get(USED, None)
    if not used or CASE not in item.stash:
        return
    for spec in item.stash[CASE].programs:
        found = used.get(spec)
        if found is None or found.fingerprint is None:
            continue
        now = {**(lm_data(Module(), lm) or {}), **found.own_lms}
        if changed := part_changes(found.fingerprint, {"lm": now}):
            add_note(item.config, _changed_line(found.path, changed, spec))
            del used[spec]


class _Header:
    """Shows the artifacts in use below the number of collected tests."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = [shown(line) for line in lines]

    def pytest_report_collectionfinish(self) -> Sequence[str]:
        """Return the lines."""
        return self._lines


class _Refusal:
    """The recorder while a program is built before its test: an LM call would belong to no test."""

    def replay(self, model: str, request: LMRequest) -> LMResponse | None:
        """Refuse the call."""
        raise _BuiltByCallingError(model, request)

    def record(self, model: str, request: LMRequest, response: LMResponse) -> None:
        """Keep nothing."""


class _BuiltByCallingError(Exception):
    """A program asks an LM while it is built."""


def _check(config: pytest.Config, spec: ProgramSpec, *, may_be_stale: bool) -> list[str]:
    """Return the lines of the header for one artifact."""
    path = Path(os.path.relpath(spec.artifact, config.rootpath)).as_posix()
    if config.stash[OPTIONS].artifacts == "ignore":
        return [f"{path}: ignored (--dspex-artifacts=ignore)"]
    try:
        content = read_json(spec.artifact)
    except ArtifactError:  # the fixture says it
        return []
    provenance, built = provenance_of(content), _built(config, spec)
    fingerprint = fingerprint_in(provenance)
    description = _description(path, content, provenance)
    if built is None:
        return [description]
    if fingerprint is None:
        return [f"{description}; {_unknown(content, built)}"]
    if "code" not in (fingerprint.get("source") or {}) and source_of(built)["code"]:
        description += "; it does not say of which code, so whether that has changed cannot be checked"
    config.stash.setdefault(USED, {})[spec] = Used(path, fingerprint, lm_data(built, None) or {})
    changes = changes_since(built, provenance)
    if changes and not may_be_stale:
        report_problem(config, _stale_message(path, changes, spec))
    stale = [f"{path}: is stale: its program's source has changed since"] if changes and may_be_stale else []
    return [description, *stale, *_changed_parts(config, spec, built, path=path, then=fingerprint)]


def _changed_parts(
    config: pytest.Config, spec: ProgramSpec, built: Module, *, path: str, then: Mapping[str, Any]
) -> list[str]:
    """Return the line on what else than the source has changed since the compile, if anything, and note it."""
    changed = part_changes(then, _parts_now(spec, built, then), optimizer=spec.optimizer)
    if not changed:
        return []
    line = _changed_line(path, changed, spec)
    if not is_worker(config):
        add_note(config, line)
    return [line]


def _built(config: pytest.Config, spec: ProgramSpec) -> Module | None:
    """Return the program as it is built; `None` if that is only possible in a test, whose fixture then checks."""
    try:
        with context(recorder=_Refusal()):
            built = spec.build()
    except Exception:  # noqa: BLE001  the builder is the user's code; its fixture shows the error
        return None
    if not isinstance(built, Module):
        return None
    config.stash.setdefault(BUILT, {})[spec] = built
    return built


def _parts_now(spec: ProgramSpec, built: Module, then: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the program would be compiled from now, without the LM, which only tests know."""
    if spec.optimizer is None:
        return {}
    found = fingerprint_of(
        built,
        spec.optimizer,
        metric=spec.metric or spec.optimizer.get_params().get("metric"),
        trainset=_rows(spec, built, "trainset", then),
        valset=_rows(spec, built, "valset", then),
        lm=None,
    )
    for name, dataset in (("trainset", spec.trainset), ("valset", spec.valset)):
        if _is_as_then(spec, name, then):
            found[name] = then.get(name)
        elif dataset is None:
            found[name] = None
        elif not _is_here(spec, dataset):
            found.pop(name, None)
    found.pop("lm", None)
    return found


def _rows(spec: ProgramSpec, built: Module, name: str, then: Mapping[str, Any]) -> Sequence[Any] | None:
    dataset = spec.trainset if name == "trainset" else spec.valset
    if dataset is None or _is_as_then(spec, name, then) or not _is_here(spec, dataset):
        return None
    try:
        return spec.examples(dataset, program=built)
    except DSPexError:  # `part_changes` then has nothing to compare
        return None


def _is_here(spec: ProgramSpec, dataset: Dataset) -> bool:
    """Whether a dataset can be read without a network."""
    return (spec.folder / dataset).exists() if isinstance(dataset, str | Path) else isinstance(dataset, list | tuple)


def _is_as_then(spec: ProgramSpec, name: str, then: Mapping[str, Any]) -> bool:
    """Whether the file of a dataset has the same bytes as then, so that it need not be read."""
    known = then.get("files")
    return isinstance(known, Mapping) and name in known and known[name] == file_digests(spec).get(name)


def file_digests(spec: ProgramSpec) -> dict[str, str]:
    """Return a hash of the bytes of each dataset that is a file."""
    sets = {"trainset": spec.trainset, "valset": spec.valset}
    files = {name: spec.folder / path for name, path in sets.items() if isinstance(path, str | Path)}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for name, path in files.items() if path.is_file()}


def _description(path: str, content: Any, provenance: Mapping[str, Any]) -> str:
    """Return what an artifact says of itself: `artifacts/intent.json: KNNFewShot(k=4), 2026-11-26, accuracy 0.917`."""
    metadata = content.get("metadata") if isinstance(content, dict) else None
    facts = metadata if isinstance(metadata, dict) else {}
    words = [str(provenance.get("optimizer", "")), str(provenance.get("date", ""))[:10]]
    if isinstance(facts.get("mean"), int | float):
        words.append(f"{facts.get('metric', 'score')} {facts['mean']:.3f}")
    if isinstance(facts.get("n"), int):
        words.append(f"n={facts['n']}")
    return f"{path}: {', '.join(filter(None, words)) or 'compiled'}"


def _unknown(content: Any, built: Module) -> str:
    """Return the words for an artifact that does not say what it was compiled from."""
    state = content.get("state") if isinstance(content, dict) else None
    held = {} if not isinstance(state, dict) else state
    words = {path: predictor.signature.dump_state() for path, predictor in built.every_predictor()}
    states = {"self": held} if "signature" in held else held
    differs = any(isinstance(states.get(path), dict) and states[path].get("signature") != words[path] for path in words)
    more = ", and its instructions or descriptions differ from the source's" if differs else ""
    return f"it does not say what it was compiled from, so whether it is stale cannot be checked{more}"


def _changed_line(path: str, changed: Sequence[str], spec: ProgramSpec) -> str:
    advice = f"recompile it with --dspex-optimize={spec.name}"
    return f"{path}: compiled from another {', another '.join(changed)}; {advice}"


def _stale_message(path: str, changes: Sequence[str], spec: ProgramSpec) -> str:
    lines = "".join(f"\n  {line}" for line in changes)
    changed = f"the source of @program {spec.name!r} has changed since it was compiled (- then, + now)"
    return (
        f"{path} is stale: {changed}:{lines}\nThe tests would use the old words. Recompile it (pytest --dspex-live "
        f"--dspex-optimize={spec.name}), delete the file, or run without it (--dspex-artifacts=ignore)."
    )


def is_stale(spec: ProgramSpec, program: Module) -> bool:
    """Return whether the stored artifact was compiled from another source than the program has now."""
    return spec.artifact.exists() and bool(changes_since(program, provenance_of(read_json(spec.artifact))))


def forget(config: pytest.Config, spec: ProgramSpec) -> None:
    """Forget what an artifact was compiled from: it has just been replaced."""
    config.stash.get(USED, {}).pop(spec, None)
