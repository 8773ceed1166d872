"""Which cassette a test's LM calls go to, and when cassettes are written. PYTEST_DONT_REWRITE"""

from __future__ import annotations

import re
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_dspex.collection import CASE, EXPECTED
from pytest_dspex.options import OPTIONS, is_worker

if TYPE_CHECKING:
    from pytest_dspex.cassettes.lm_door import CassetteRecorder
    from pytest_dspex.cassettes.store import CassetteStore

WORKER_KEY = "dspex_shards"
_RUN_KEY = "dspex_run"
_RAN_TO_AN_END = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


class Recording:
    """The cassettes of a session, one for each test function.

    It lies at `cassettes/<module>/<function>.jsonl` beside the test's module.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._options = config.stash[OPTIONS]
        self._stores: dict[str, CassetteStore] = {}
        self._recorders: list[CassetteRecorder] = []

    def recorder(self, item: pytest.Item) -> CassetteRecorder | None:
        """Return what stands before the LM while an item runs; nothing does in a live session."""
        if self._options.live:
            return None
        from pytest_dspex.cassettes.lm_door import CassetteRecorder
        from pytest_dspex.cassettes.store import CassetteStore

        function, case = _names(item)
        if function not in self._stores:
            self._stores[function] = CassetteStore(_cassette(item))
        recorder = CassetteRecorder(self._stores[function], case=case, record=self._options.record)
        self._recorders.append(recorder)
        return recorder

    def save(self, session: pytest.Session) -> None:
        """Write what was recorded: to the cassettes, or on an xdist worker to shards for the controller."""
        if self._options.record == "none":
            return
        if is_worker(session.config):
            run = session.config.workerinput[_RUN_KEY]  # type: ignore[attr-defined]  # xdist's, on workers
            worker = session.config.workerinput["workerid"]  # type: ignore[attr-defined]  # as above
            shards = [store.save_shard(worker, run=run) for store in self._stores.values()]
            folders = sorted({str(shard.parent) for shard in shards if shard})
            session.config.workeroutput[WORKER_KEY] = folders  # type: ignore[attr-defined]  # as above
            return
        whole = _whole_functions(session) if self._options.record == "all" else set()
        for function, store in self._stores.items():
            store.save(prune=function in whole)

    def summary(self) -> str | None:
        """Return one line on what the cassettes did, if anything."""
        counts = Counter[str]()
        for recorder in self._recorders:
            counts.update(replayed=recorder.replayed, recorded=recorder.recorded, missed=recorder.missed)
        said = [f"{count} {what}" for what, count in counts.items() if count]
        return f"LM calls: {', '.join(said)}" if said else None


class ShardCollector:
    """The controller's side of recording under xdist: merges the shards when all workers are done."""

    def __init__(self) -> None:
        self._run = uuid.uuid4().hex
        self._folders: set[Path] = set()

    def brief(self, workerinput: dict[str, Any]) -> None:
        """Tell a worker which run it belongs to."""
        workerinput[_RUN_KEY] = self._run

    def add(self, workeroutput: dict[str, Any]) -> None:
        """Take in where a worker has left shards."""
        self._folders.update(map(Path, workeroutput.get(WORKER_KEY, ())))

    def merge(self) -> None:
        """Merge all shards into their cassettes."""
        if self._folders:
            from pytest_dspex.cassettes.store import merge_shards

            merge_shards(self._folders, run=self._run)


def _names(item: pytest.Item) -> tuple[str, str]:
    case = item.stash.get(CASE, None)
    if case is not None:
        return case.function, case.name
    function, bracket, name = item.nodeid.partition("[")
    return function, name.removesuffix("]") if bracket else ""


def _cassette(item: pytest.Item) -> Path:
    function, _ = _names(item)
    inside = function.split("::")[1:]  # classes and the function
    name = re.sub(r"[^\w.-]+", "-", ".".join(inside)).strip("-")
    return item.path.parent / "cassettes" / item.path.stem / f"{name}.jsonl"


def _whole_functions(session: pytest.Session) -> set[str]:
    """Return the functions of which every case has run."""
    if session.exitstatus not in _RAN_TO_AN_END or session.shouldstop or session.shouldfail:
        return set()
    ran = Counter(_names(item)[0] for item in session.items)
    expected = session.config.stash[EXPECTED]
    return {function for function, count in ran.items() if count >= expected.get(function, {"cases": count})["cases"]}
